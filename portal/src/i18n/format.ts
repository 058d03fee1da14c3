import { currentLanguage, type Language } from "./words.svelte";

/*
 * Dates are shown as in the manual (14.02.2017, 09:43:27) in both languages, and in the time
 * zone of the domain. Each Intl formatter is created once: creating one takes a telephone up to a
 * tenth of a second.
 */

type DateOptions = Intl.DateTimeFormatOptions;

const dateOptions: DateOptions = { day: "2-digit", month: "2-digit", year: "numeric" };
const timeOptions: DateOptions = {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};

function cached<K extends string, F>(create: (key: K) => F): (key: K) => F {
  const formatters = new Map<K, F>();
  return (key) => {
    const existing = formatters.get(key);
    if (existing !== undefined) return existing;
    const formatter = create(key);
    formatters.set(key, formatter);
    return formatter;
  };
}

const dateFormat = cached(
  (timeZone) => new Intl.DateTimeFormat("ru", { ...dateOptions, timeZone }),
);
const timeFormat = cached(
  (timeZone) => new Intl.DateTimeFormat("ru", { ...timeOptions, timeZone }),
);
// Swedish writes dates as ISO 8601 does.
const isoFormat = cached((timeZone) => new Intl.DateTimeFormat("sv", { ...dateOptions, timeZone }));
const countFormat = cached((language: Language) => new Intl.NumberFormat(language));
const percentFormat = cached((language: Language) => percent(language, "negative"));
const signedPercentFormat = cached((language: Language) => percent(language, "exceptZero"));
const pluralRules = cached((language: Language) => new Intl.PluralRules(language));

function percent(language: Language, signDisplay: "negative" | "exceptZero"): Intl.NumberFormat {
  return new Intl.NumberFormat(language, {
    style: "percent",
    maximumFractionDigits: 1,
    signDisplay,
  });
}

let domainTimeZone = "UTC";

/** Set the time zone of the domain. A browser that does not know the zone shows its own. */
export function setTimeZone(timeZone: string): void {
  try {
    isoFormat(timeZone);
    domainTimeZone = timeZone;
  } catch {
    domainTimeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
}

/** The date of a moment: `14.02.2017`. */
export function formatDate(moment: string, timeZone = domainTimeZone): string {
  return dateFormat(timeZone).format(Date.parse(moment));
}

/** The time of day of a moment: `09:43:27`. */
export function formatTime(moment: string, timeZone = domainTimeZone): string {
  return timeFormat(timeZone).format(Date.parse(moment));
}

/** The day at the beginning of an ISO text, `2017-02-14`: `14.02.2017`. */
export function formatDay(day: string): string {
  return formatDate(day.slice(0, 10), "UTC");
}

/** The day of a moment (ISO 8601, or milliseconds since 1970) as `2017-02-14`. */
export function dayOf(moment: string | number, timeZone = domainTimeZone): string {
  return isoFormat(timeZone).format(new Date(moment));
}

/** The day `days` after an ISO day; before it if `days` is negative. */
export function addDays(day: string, days: number): string {
  const date = new Date(`${day}T12:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

/** A length in milliseconds: `1:05` or `1:02:03`. */
export function formatLength(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  const tail = String(seconds % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${tail}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${tail}`;
}

/** A whole number with separators of thousands: `12 345`. */
export function formatCount(count: number, language = currentLanguage()): string {
  return countFormat(language).format(count);
}

/** A number with its noun: `5 звонков`. `forms` are the noun's forms for one, few and many. */
export function formatCounted(
  count: number,
  forms: readonly string[],
  language = currentLanguage(),
): string {
  const rule = pluralRules(language).select(count);
  const form = rule === "one" ? forms[0] : rule === "few" ? forms[1] : forms[2];
  return `${formatCount(count, language)} ${form ?? ""}`;
}

/** A share of 1 as a percentage with at most one decimal: `12,5 %`. `signed` adds a plus sign. */
export function formatPercent(share: number, signed = false, language = currentLanguage()): string {
  const format = signed ? signedPercentFormat(language) : percentFormat(language);
  return format.format(share).replace("-", "−");
}
