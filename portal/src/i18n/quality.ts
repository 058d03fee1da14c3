import type { Quality } from "../api/model";
import { currentLanguage, inLanguage } from "./words.svelte";

/** Below this score some of those who listen are dissatisfied (ITU-T G.107, annex B). */
export const badBelowMos = 4;

const ru = {
  title: "Качество связи",
  unknown: "нет данных",
  known: "Качество известно",
  below: (mos: string) => `MOS ниже ${mos}`,
  from: (mos: string) => `MOS от ${mos}`,
  loss: (share: string) => `потери ${share} %`,
  jitter: (ms: string) => `джиттер ${ms} мс`,
  roundTrip: (ms: string) => `туда и обратно ${ms} мс`,
};

const en: typeof ru = {
  title: "Quality of the line",
  unknown: "not known",
  known: "Quality known",
  below: (mos) => `MOS below ${mos}`,
  from: (mos) => `MOS from ${mos}`,
  loss: (share) => `loss ${share} %`,
  jitter: (ms) => `jitter ${ms} ms`,
  roundTrip: (ms) => `round trip ${ms} ms`,
};

/** The words for the quality of a call. */
export function qualityWords(): typeof ru {
  return inLanguage({ ru, en });
}

/** The scores below which the list can be filtered (ITU-T G.107, annex B). */
export const mosLimits = ["4", "3.6", "3.1"] as const;

/** Whether a leg was heard badly. */
export function isBad(quality: Quality): boolean {
  return quality.mos < badBelowMos;
}

/** A score, always with two decimals. */
export function formatMos(mos: number): string {
  return formatted(mos, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** A limit of a filter, as its address has it. */
export function formatLimit(mos: string): string {
  return formatted(Number(mos), { maximumFractionDigits: 2 });
}

/** The share of lost packets, then the score. */
export function shortQuality(quality: Quality): string {
  return `${qualityWords().loss(formatted(quality.loss_pct))} · MOS ${formatMos(quality.mos)}`;
}

/** All figures of a quality, in a sentence. */
export function qualityText(quality: Quality): string {
  const { loss, jitter, roundTrip } = qualityWords();
  const figures = [loss(formatted(quality.loss_pct)), jitter(formatted(quality.jitter_ms))];
  if (quality.rtt_ms !== null) figures.push(roundTrip(formatted(quality.rtt_ms)));
  return [...figures, `MOS ${formatMos(quality.mos)}`].join(", ");
}

function formatted(value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: 1, ...options }).format(
    value,
  );
}
