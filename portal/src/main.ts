import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/print.css";

import { mount } from "svelte";

import { place } from "./app/route.svelte";
import App from "./app/App.svelte";
import { speakFirst } from "./i18n/words.svelte";
import { load } from "./pages/pages";
import { findSession, mayBeIn } from "./app/session.svelte";

const target = document.getElementById("portal");
if (target === null) throw new Error("index.html has no #portal");
// All that is far away is asked for at once: on a slow line each answer that waits for another costs a round trip.
void findSession();
const first = mayBeIn() ? place().page : "login";
if (first !== "calls") void load(first);
await speakFirst();
mount(App, { target });
