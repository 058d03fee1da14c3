import { expect, it } from "vitest";

import { deviceLabel } from "./device";

const windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";

it.each([
  [`${windows} Chrome/131.0.0.0 Safari/537.36`, "Chrome, Windows"],
  [`${windows} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0`, "Edge, Windows"],
  [`${windows} Chrome/130.0.0.0 YaBrowser/24.12.0.0 Safari/537.36`, "Yandex, Windows"],
  [`${windows} Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0`, "Opera, Windows"],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox, Linux"],
  [
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36",
    "Chrome, Android",
  ],
  [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
    "Safari, iOS",
  ],
  [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 Version/18.1 Safari/605.1",
    "Safari, macOS",
  ],
  ["python-httpx/0.28.1", "python-httpx"],
  ["Mozilla/5.0", "?"],
  ["", "?"],
  ["<script>", "?"],
])("%s", (userAgent, label) => {
  expect(deviceLabel(userAgent, "?")).toBe(label);
});
