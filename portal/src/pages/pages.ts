import type { Component } from "svelte";

import type { Place } from "../app/route.svelte";

type Later = Exclude<Place["page"], "calls"> | "login";

const pages: Record<Later, () => Promise<{ default: Component }>> = {
  login: () => import("./login/Login.svelte"),
  stats: () => import("./statistics/StatisticsPage.svelte"),
  now: () => import("./now/NowPage.svelte"),
  users: () => import("./users/UsersPage.svelte"),
  audit: () => import("./audit/AuditPage.svelte"),
};

/** A page that comes when it is first wanted; the calls are there from the beginning. */
export async function load(page: Later): Promise<Component> {
  return (await pages[page]()).default;
}
