import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/print.css";

import { mount } from "svelte";

import App from "./app/App.svelte";
import { route } from "./app/navigation.svelte";
import { mayHaveSession, restoreSession } from "./app/session.svelte";
import { initLanguage } from "./i18n/words.svelte";
import { load } from "./pages/pages";

const target = document.getElementById("portal");
if (target === null) throw new Error("index.html has no #portal");
// Start all requests at once: on a slow line each one that waits for another costs a round trip.
void restoreSession();
const firstPage = mayHaveSession() ? route().page : "login";
if (firstPage !== "calls") void load(firstPage);
await initLanguage();
mount(App, { target });
