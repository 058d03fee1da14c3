import type { BarSeriesOption, LineSeriesOption, PieSeriesOption } from "echarts/charts";
import type { GridComponentOption, TooltipComponentOption } from "echarts/components";
import type { ComposeOption } from "echarts/core";

/** The options of the ECharts parts that are loaded. */
export type Option = ComposeOption<
  | BarSeriesOption
  | LineSeriesOption
  | PieSeriesOption
  | GridComponentOption
  | TooltipComponentOption
>;

/** A chart of a given size in CSS pixels. */
export interface Drawing {
  option: Option;
  width: number;
  height: number;
}
