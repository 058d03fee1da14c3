import type { Option } from "../../charts/option";
import type { Palette } from "../../charts/palette";
import { tip } from "../../charts/tip";
import { formatCount } from "../../i18n/format";

/** A slice: its label, its calls, and its share as a percentage. */
export interface Slice {
  name: string;
  calls: number;
  share: string;
}

/** The chart «Доли»: a ring with a label beside each slice. */
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
        const index = [point].flat()[0]?.dataIndex ?? -1;
        const slice = slices[index];
        return slice === undefined
          ? ""
          : tip(slice.name, [[`share-${index}`, slice.share, formatCount(slice.calls)]]);
      },
    },
    series: [
      {
        type: "pie",
        id: "shares",
        radius: ["52%", "76%"],
        startAngle: 90,
        data: slices.map((slice, index) => ({
          name: slice.name,
          value: slice.calls > 0 ? slice.calls : "-",
          itemStyle: { color: palette.shares[index] ?? palette.accent },
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
