// What a panel asks Prometheus, and the answers as Grafana's data frames.
import { DataFrame, FieldType, formatLabels, renderLegendFormat, toDataFrame } from '@grafana/data';

export interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  instant: boolean;
  format: string;
}
export interface Scene {
  dashboard: any;
  variables: Record<string, string>;
  from: number;
  to: number;
  scrapeSeconds: number;
}
interface Series {
  metric: Record<string, string>;
  value?: [number, string];
  values?: Array<[number, string]>;
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600 };

/** The step of a graph as Grafana chooses it: one point a pixel at most, and no less than the panel's interval. */
export function stepOf(scene: Scene, panel: any, width: number): number {
  const least = /^(\d+)([smh])$/.exec(panel.interval ?? '');
  const fine = Math.ceil((scene.to - scene.from) / Math.max(width, 100) / 5) * 5;
  return Math.max(fine, scene.scrapeSeconds, least ? Number(least[1]) * SECONDS[least[2]] : 0);
}

export function substitute(text: string, scene: Scene, step: number): string {
  const range = Math.round(scene.to - scene.from);
  const values: Record<string, string> = {
    ...scene.variables,
    __rate_interval: `${Math.max(step + scene.scrapeSeconds, 4 * scene.scrapeSeconds)}s`,
    __range: `${range}s`,
    __range_s: String(range),
  };
  return text.replace(/\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g, (whole, braced, bare) => values[braced ?? bare] ?? whole);
}

// Chromium ends all requests when a network interface comes or goes, as those of containers do: ask again.
async function fetchAgain(url: string, parameters: Record<string, string>, attempts = 5): Promise<Response> {
  try {
    return await fetch(url, { method: 'POST', body: new URLSearchParams(parameters) });
  } catch (error) {
    if (attempts <= 1) throw error;
    await new Promise((again) => setTimeout(again, 500));
    return fetchAgain(url, parameters, attempts - 1);
  }
}

async function ask(path: string, parameters: Record<string, string>): Promise<Series[]> {
  const answer = await fetchAgain(`/prometheus/api/v1/${path}`, parameters);
  const reply = await answer.json();
  if (reply.status !== 'success') {
    throw new Error(`${reply.error}: ${parameters.query}`);
  }
  return reply.data.resultType === 'scalar' ? [{ metric: {}, value: reply.data.result }] : reply.data.result;
}

export async function load(scene: Scene, panel: any, width: number): Promise<DataFrame[]> {
  const step = stepOf(scene, panel, width);
  // At multiples of the step, as Grafana asks.
  const [start, end] = [scene.from, scene.to].map((moment) => String(Math.floor(moment / step) * step));
  const frames = await Promise.all(
    panel.targets.map(async (target: Target) => {
      const query = substitute(target.expr, scene, step);
      const series = target.instant
        ? await ask('query', { query, time: String(scene.to) })
        : await ask('query_range', { query, start, end, step: String(step) });
      const single = panel.targets.length === 1;
      return target.format === 'table' ? tableOf(target, series, single) : series.map((one) => graphOf(target, one, step));
    })
  );
  return frames.flat();
}

/** Where a series paused, its line does too. */
function withGaps(points: Array<[number, string]>, step: number): Array<[number, string | null]> {
  return points.flatMap((point, place): Array<[number, string | null]> => {
    const pause = place > 0 && point[0] - points[place - 1][0] > 1.5 * step;
    return pause ? [[points[place - 1][0] + step, null], point] : [point];
  });
}

function graphOf(target: Target, series: Series, step: number): DataFrame {
  const points = withGaps(series.values ?? (series.value ? [series.value] : []), step);
  const { __name__: name, ...labels } = series.metric;
  const legend =
    target.legendFormat === '__auto'
      ? Object.keys(labels).length === 0 ? (name ?? 'Value') : formatLabels(labels)
      : renderLegendFormat(target.legendFormat, series.metric);
  return toDataFrame({
    refId: target.refId,
    name: legend,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: { interval: step * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        labels: series.metric,
        config: { displayNameFromDS: legend },
        values: points.map(([, value]) => (value === null ? null : Number(value))),
      },
    ],
  });
}

function tableOf(target: Target, series: Series[], single: boolean): DataFrame[] {
  if (series.length === 0) {
    return [];
  }
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].filter((label) => label !== '__name__');
  return [
    toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: series.map((one) => one.value![0] * 1000) },
        ...labels.map((label) => ({ name: label, type: FieldType.string, values: series.map((one) => one.metric[label]) })),
        {
          name: single ? 'Value' : `Value #${target.refId}`,
          type: FieldType.number,
          values: series.map((one) => Number(one.value![1])),
        },
      ],
    }),
  ];
}
