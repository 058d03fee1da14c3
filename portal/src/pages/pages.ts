import type { Component } from "svelte";

import type { Route } from "../app/route";

type LazyPage = Exclude<Route["page"], "calls"> | "login";

const pages: Record<LazyPage, () => Promise<{ default: Component }>> = {
  login: () => import("./login/Login.svelte"),
  stats: () => import("./statistics/StatisticsPage.svelte"),
  now: () => import("./now/NowPage.svelte"),
  users: () => import("./users/UsersPage.svelte"),
  audit: () => import("./audit/AuditPage.svelte"),
};

/** Load a page. Only the page of calls is part of the first chunk. */
export async function load(page: LazyPage): Promise<Component> {
  return (await pages[page]()).default;
}
