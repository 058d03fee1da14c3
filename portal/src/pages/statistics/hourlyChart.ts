import type { Counts } from "../../api/statistics";
import type { Option } from "../../charts/option";
import type { Palette } from "../../charts/palette";
import { tip } from "../../charts/tip";
import { formatCount } from "../../i18n/format";
import { reportWords } from "../../i18n/statistics/words";
import { hourLabel, hourSpan } from "./hours";
import { seriesNames, type Series } from "./series";
import type { View } from "./view";

/** How a series differs besides its colour: the shape of points, the dash, hollow bars. */
export const marks: Record<Series, { symbol: string; dash: "solid" | "dashed"; hollow: boolean }> =
  {
    out: { symbol: "circle", dash: "solid", hollow: false },
    out_failed: { symbol: "triangle", dash: "dashed", hollow: true },
    in: { symbol: "rect", dash: "solid", hollow: false },
    in_missed: { symbol: "diamond", dash: "dashed", hollow: true },
  };

/** The chart «График вызовов». `rows` are the counts by hour, 0 to 23. */
export function hourlyOption(
  rows: ReadonlyMap<number, Counts>,
  view: Pick<View, "chart" | "off">,
  palette: Palette,
): Option {
  const hours = [...rows.keys()];
  const shown = seriesNames.filter((name) => !view.off.includes(name));
  const count = (hour: number, name: Series): number => rows.get(hour)?.[name] ?? 0;
  return {
    textStyle: { fontFamily: palette.font },
    grid: {
      left: 8,
      right: 16,
      top: 14,
      bottom: 4,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: {
      type: "category",
      data: hours.map(hourLabel),
      boundaryGap: view.chart === "bars",
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: { color: palette.muted, fontSize: 11, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: 4,
      // Keep the highest point below the edge: ECharts shows no tooltip for a point on it.
      boundaryGap: [0, "2%"],
      max: ({ max }) => (max < 4 ? 4 : null),
      splitLine: { lineStyle: { color: palette.line, type: [3, 4] } },
      axisLabel: {
        color: palette.muted,
        fontSize: 11,
        formatter: (value: number) => formatCount(value),
      },
    },
    tooltip: {
      trigger: "axis",
      confine: true,
      padding: 0,
      borderWidth: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow: none",
      axisPointer: {
        type: view.chart === "bars" ? "shadow" : "line",
        lineStyle: { color: palette.muted },
        shadowStyle: { color: palette.sunken, opacity: 0.6 },
      },
      formatter: (points) => {
        const hour = hours[[points].flat()[0]?.dataIndex ?? -1];
        return hour === undefined
          ? ""
          : tip(
              hourSpan(hour),
              shown.map((name) => [
                name,
                reportWords().series[name],
                formatCount(count(hour, name)),
              ]),
            );
      },
    },
    series: shown.map((name) => {
      const [data, color, { symbol, dash, hollow }] = [
        hours.map((hour) => count(hour, name)),
        palette.tones[name],
        marks[name],
      ];
      if (view.chart === "bars") {
        const itemStyle = hollow
          ? {
              color: palette.surface,
              borderColor: color,
              borderWidth: 1.5,
              borderRadius: [2, 2, 0, 0],
            }
          : { color, borderRadius: [2, 2, 0, 0] };
        return {
          type: "bar" as const,
          id: name,
          name: reportWords().series[name],
          data: data.map((calls) => (calls > 0 ? calls : "-")),
          itemStyle,
          barMaxWidth: 14,
          barGap: "15%",
          cursor: "pointer",
        };
      }
      return {
        type: "line" as const,
        id: name,
        name: reportWords().series[name],
        data,
        symbol,
        symbolSize: symbol === "rect" ? 7 : 8,
        showAllSymbol: true,
        color,
        lineStyle: { width: 2, type: dash, color },
        itemStyle: { color, borderColor: palette.surface, borderWidth: 1.5 },
        emphasis: { scale: 1.6 },
        cursor: "pointer",
      };
    }),
  };
}
