/** What a User-Agent says of a device. `null`: it does not say. */
export interface Device {
  browser: string | null;
  system: string | null;
}

// The first that matches: most browsers also name those that they descend from.
const browsers: [RegExp, string][] = [
  [/YaBrowser\//, "Yandex"],
  [/Edg(?:e|A|iOS)?\//, "Edge"],
  [/OPR\/|Opera\//, "Opera"],
  [/SamsungBrowser\//, "Samsung Internet"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrome\/|CriOS\//, "Chrome"],
  [/Version\/.*Safari\//, "Safari"],
];
const systems: [RegExp, string][] = [
  [/iPhone|iPad|iPod/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/CrOS/, "ChromeOS"],
  [/Mac OS X|Macintosh/, "macOS"],
  [/Linux|X11/, "Linux"],
];

function nameIn(text: string, table: [RegExp, string][]): string | null {
  return table.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** Read a User-Agent. A program's name stands in the place of the browser's. */
export function readDevice(userAgent: string): Device {
  const program = /^[\w.-]+/.exec(userAgent)?.[0] ?? null;
  const browser = nameIn(userAgent, browsers) ?? (program === "Mozilla" ? null : program);
  return { browser, system: nameIn(userAgent, systems) };
}

/** The label of a device: `Chrome, Windows`; `unknown` if its User-Agent says nothing. */
export function deviceLabel(userAgent: string, unknown: string): string {
  const { browser, system } = readDevice(userAgent);
  return [browser, system].filter((part) => part !== null).join(", ") || unknown;
}
