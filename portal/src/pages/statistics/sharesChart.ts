import { grouped } from "../../i18n/words.svelte";
import type { Option } from "../../charts/option";
import type { Palette } from "../../charts/palette";
import { tip } from "../../charts/tip";

/** A slice: its words, its calls and their share in words. */
export interface Slice {
  name: string;
  calls: number;
  share: string;
}

/** «Доли» as a ring, each slice named beside itself. */
export function sharesOption(slices: readonly Slice[], palette: Palette): Option {
  return {
    textStyle: { fontFamily: palette.font },
    tooltip: {
      trigger: "item",
      confine: true,
      padding: 0,
      borderWidth: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow: none",
      formatter: (point) => {
        const at = [point].flat()[0]?.dataIndex ?? -1;
        const slice = slices[at];
        return slice === undefined
          ? ""
          : tip(slice.name, [[`share-${at}`, slice.share, grouped(slice.calls)]]);
      },
    },
    series: [
      {
        type: "pie",
        id: "shares",
        radius: ["52%", "76%"],
        startAngle: 90,
        data: slices.map((slice, at) => ({
          name: slice.name,
          value: slice.calls > 0 ? slice.calls : "-",
          itemStyle: { color: palette.shares[at] ?? palette.accent },
        })),
        itemStyle: { borderColor: palette.surface, borderWidth: 2, borderRadius: 3 },
        label: {
          color: palette.text,
          fontSize: 11,
          lineHeight: 15,
          formatter: ({ dataIndex }) =>
            `${slices[dataIndex]?.name ?? ""}\n${slices[dataIndex]?.share ?? ""}`,
          overflow: "break",
        },
        labelLine: { length: 8, length2: 6, lineStyle: { color: palette.muted } },
        emphasis: { scaleSize: 4 },
        cursor: "pointer",
        minAngle: 3,
        minShowLabelAngle: 8,
      },
    ],
  };
}
