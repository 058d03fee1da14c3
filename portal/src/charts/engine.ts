/** ECharts with only the parts that the reports use. It is loaded with the first chart. */
import { BarChart, LineChart, PieChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use, type ECharts } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

import type { Drawing, Option } from "./option";

use([BarChart, LineChart, PieChart, GridComponent, TooltipComponent, SVGRenderer]);

/** Create a chart in an element. */
export function draw(element: HTMLElement): ECharts {
  return init(element, null, { renderer: "svg" });
}

/** Draw a chart as the text of an `<svg>`, without animation, tooltips and style sheet. */
export function drawStill({ option, width, height }: Drawing): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption(still(option));
  // ECharts does not pass these options on to zrender, whose defaults write a style sheet.
  const painter = chart.getZr().painter as unknown as {
    renderToString: (how: Record<string, boolean>) => string;
  };
  const text = painter.renderToString({
    useViewBox: true,
    cssEmphasis: false,
    cssAnimation: false,
  });
  chart.dispose();
  // Programs disagree on the central baseline (svg2pdf ignores it), but all of them shift by dy.
  return text.replaceAll('dominant-baseline="central"', 'dy="0.35em"');
}

function still(option: Option): Option {
  const series = [option.series ?? []]
    .flat()
    .map((series) => ({ ...series, silent: true, emphasis: { disabled: true } }));
  return {
    ...option,
    series,
    animation: false,
    tooltip: { show: false },
  };
}
