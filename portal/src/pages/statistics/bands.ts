import type { Durations } from "../../api/statistics";
import type { Selection } from "../../app/selection";
import { reportWords } from "../../i18n/statistics/words";

type Band = Pick<Durations["rows"][number], "from_s" | "to_s">;

/** The label of a band of durations: `до 30 сек`, `30–60 сек`, `1–3 мин`, `более 10 мин`. */
export function bandLabel({ from_s: from, to_s: to }: Band): string {
  const { band, seconds, minutes } = reportWords().outgoing;
  const inMinutes = from > 0 && from % 60 === 0 && (to ?? 0) % 60 === 0;
  const [size, unit] = inMinutes ? [60, minutes] : [1, seconds];
  const [first, last] = [String(from / size), String((to ?? 0) / size)];
  if (to === null) return `${band.last(first)} ${unit}`;
  return `${from === 0 ? band.first(last) : band.between(first, last)} ${unit}`;
}

/**
 * The filter for the outgoing calls of a band. The API's `talk_max_s` is included and a whole
 * number, so a band ends one second before the next one.
 */
export function bandFilter({ from_s: from, to_s: to }: Band): Partial<Selection> {
  return {
    direction: ["out"],
    talk_min_s: from === 0 ? "" : String(from),
    talk_max_s: to === null ? "" : String(to - 1),
  };
}
