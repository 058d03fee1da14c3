import { client, taken } from "./client";
import type { CallQuery } from "./model";
import type { components } from "./schema";

type Shapes = components["schemas"];

export type Counts = Omit<Shapes["HourCounts"], "hour">;
export type Hourly = Shapes["Hourly"];
export type WeekHours = Shapes["WeekHours"];
export type Incoming = Shapes["Incoming"];
export type Outgoing = Shapes["Outgoing"];
export type Durations = Shapes["Durations"];
export type CallBacks = Shapes["CallBacks"];

/** Which calls are counted: a selection without what only a list has. */
export type ReportQuery = Omit<CallQuery, "sort" | "limit" | "cursor">;

export async function hourly(query: ReportQuery, signal: AbortSignal): Promise<Hourly> {
  return taken<Hourly>(await client.GET("/api/stats/hourly", { params: { query }, signal }));
}

export async function weekHours(query: ReportQuery, signal: AbortSignal): Promise<WeekHours> {
  return taken<WeekHours>(await client.GET("/api/stats/week", { params: { query }, signal }));
}

export async function incoming(query: ReportQuery, signal: AbortSignal): Promise<Incoming> {
  return taken<Incoming>(await client.GET("/api/stats/incoming", { params: { query }, signal }));
}

export async function outgoing(query: ReportQuery, signal: AbortSignal): Promise<Outgoing> {
  return taken<Outgoing>(await client.GET("/api/stats/outgoing", { params: { query }, signal }));
}

/** `longerThan`: seconds to count the longer ones by; empty for none. */
export async function durations(
  query: ReportQuery,
  longerThan: string,
  signal: AbortSignal,
): Promise<Durations> {
  const more = longerThan === "" ? {} : { longer_than: Number(longerThan) };
  return taken<Durations>(
    await client.GET("/api/stats/durations", { params: { query: { ...query, ...more } }, signal }),
  );
}

export async function callBacks(query: ReportQuery, signal: AbortSignal): Promise<CallBacks> {
  return taken<CallBacks>(await client.GET("/api/stats/callbacks", { params: { query }, signal }));
}
