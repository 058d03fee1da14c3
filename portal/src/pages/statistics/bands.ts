import type { Selection } from "../../app/route.svelte";
import type { Durations } from "../../api/statistics";
import { said } from "../../i18n/statistics/words";

type Band = Pick<Durations["rows"][number], "from_s" | "to_s">;

/** `до 30 сек`, `30–60 сек`, `1–3 мин`, `более 10 мин`. */
export function bandSaid({ from_s: from, to_s: to }: Band): string {
  const { band, seconds, minutes } = said().outgoing;
  const inMinutes = from % 60 === 0 && (to ?? 0) % 60 === 0 && from > 0;
  const [size, unit] = inMinutes ? [60, minutes] : [1, seconds];
  if (to === null) return `${band.last(String(from / size))} ${unit}`;
  return `${from === 0 ? band.first(String(to / size)) : band.between(String(from / size), String(to / size))} ${unit}`;
}

/** What narrows a list to the outgoing calls of a band; `talk_s` is a whole number, so a band ends a second before the next. */
export function opensBand({ from_s: from, to_s: to }: Band): Partial<Selection> {
  return {
    direction: ["out"],
    talk_min_s: from === 0 ? "" : String(from),
    talk_max_s: to === null ? "" : String(to - 1),
  };
}
