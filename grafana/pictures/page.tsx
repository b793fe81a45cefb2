// One dashboard on one page: the panels' data fetched, transformed and drawn as Grafana does it.
import React, { useEffect, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createTheme, DataFrame, dateTime, FieldConfigOptionsRegistry, FieldDisplay,
  getFieldDisplayName, getFieldDisplayValues,
  Registry, standardTransformers, standardTransformersRegistry, ThemeContext, TimeRange, transformDataFrame, VizOrientation,
} from '@grafana/data';
import { BarGauge, BigValue, BigValueGraphMode, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableCellHeight } from '@grafana/schema';
import { TableNG } from '@grafana/ui/unstable';
import { load, Scene } from './query';

const THEME = createTheme({ colors: { mode: 'dark' } });
const CELL = 30;
const GAP = 8;
const WIDTH = 1600;
const STANDARD = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links', 'color'];
const CUSTOM = [
  'drawStyle', 'lineWidth', 'fillOpacity', 'showPoints', 'spanNulls', 'stacking', 'axisPlacement', 'scaleDistribution',
  'thresholdsStyle', 'axisSoftMax', 'lineStyle', 'pointSize', 'insertNulls', 'align', 'inspect', 'width', 'cellOptions', 'wrapText',
];

/** Grafana keeps the editors of options in its core, not in its packages: here a value is taken as it is. */
function option(path: string, isCustom: boolean): any {
  const id = isCustom ? `custom.${path}` : path;
  return { id, path, name: path, isCustom, process: (value: any) => value, shouldApply: () => true };
}
const OPTIONS = new Registry<any>(() => [
  ...STANDARD.map((path) => option(path, false)),
  ...CUSTOM.map((path) => option(path, true)),
]) as FieldConfigOptionsRegistry;
standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((one: any) => [one.id, one])).values()].map(
    (one: any) => ({ id: one.id, name: one.name, transformation: () => Promise.resolve(one) } as any)
  )
);

async function prepare(scene: Scene, panel: any, width: number): Promise<DataFrame[]> {
  const frames = await load(scene, panel, width);
  const shaped = panel.transformations && frames.length
    ? await lastValueFrom(transformDataFrame(panel.transformations, frames, { interpolate: (text: string) => text }))
    : frames;
  const drawn = applyFieldOverrides({
    data: shaped,
    fieldConfig: { ...panel.fieldConfig, defaults: { ...panel.fieldConfig.defaults, links: [] } },
    replaceVariables: (text) => text,
    theme: THEME,
    timeZone: 'utc',
    fieldConfigRegistry: OPTIONS,
  });
  cacheFieldDisplayNames(drawn);
  return drawn;
}

function Values({ panel, frames, width, height, render }: any) {
  const values = () =>
    getFieldDisplayValues({
      fieldConfig: panel.fieldConfig,
      reduceOptions: panel.options.reduceOptions,
      replaceVariables: (text: string) => text,
      theme: THEME,
      data: frames,
      sparkline: panel.options.graphMode && panel.options.graphMode !== BigValueGraphMode.None,
      timeZone: 'utc',
    });
  return (
    <VizRepeater
      getValues={values} renderValue={render} width={width} height={height} source={frames} itemSpacing={3}
      renderCounter={0} autoGrid={panel.type === 'stat'} orientation={panel.options.orientation as VizOrientation}
      minVizHeight={panel.options.minVizHeight} minVizWidth={panel.options.minVizWidth} maxVizHeight={panel.options.maxVizHeight}
    />
  );
}

function Stat(properties: any) {
  const { options } = properties.panel;
  return (
    <Values
      {...properties}
      render={({ value, width, height, count }: any) => (
        <BigValue
          value={value.display} count={count} sparkline={value.sparkline} width={width} height={height} theme={THEME}
          colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode}
          textMode={options.textMode} wideLayout={options.wideLayout}
        />
      )}
    />
  );
}

function Bars(properties: any) {
  const { options } = properties.panel;
  return (
    <Values
      {...properties}
      render={({ value, width, height }: { value: FieldDisplay } & any) => (
        <BarGauge
          value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          width={width} height={height} theme={THEME} orientation={options.orientation} displayMode={options.displayMode}
          showUnfilled={options.showUnfilled} valueDisplayMode={options.valueMode} namePlacement={options.namePlacement}
          alignmentFactors={longest(properties)}
        />
      )}
    />
  );
}

/** So that all bars begin at the same place. */
function longest({ panel, frames }: any) {
  const shown = getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: (text: string) => text,
    theme: THEME, data: frames, timeZone: 'utc',
  }).map((one) => one.display);
  const long = (texts: string[]) => texts.reduce((a, b) => (b.length > a.length ? b : a), '');
  return {
    title: long(shown.map((one) => one.title ?? '')),
    text: long(shown.map((one) => one.text)),
    suffix: long(shown.map((one) => one.suffix ?? '')),
  };
}

/** Grafana keeps its XY chart in its core, not in its packages: points of one field over another, on plain axes. */
function Points({ panel, frames, width, height }: any) {
  const { x: xMatcher, y: yMatcher } = panel.options.series[0];
  const find = (name: string) => frames[0].fields.find((field: any) => getFieldDisplayName(field, frames[0], frames) === name);
  const [xs, ys] = [find(xMatcher.matcher.options), find(yMatcher.matcher.options)];
  const points = xs.values.map((x: number, place: number) => [x, ys.values[place]]).filter((pair: number[]) => pair.every(Number.isFinite));
  const most = points.reduce(([a, b]: number[], [x, y]: number[]) => [Math.max(a, x), Math.max(b, y)], [1, 1]).map(niceCeil);
  const [left, bottom, top] = [44, 42, 8];
  const at = ([x, y]: number[]) => [
    left + (x / most[0]) * (width - left - 12), height - bottom - (y / most[1]) * (height - bottom - top),
  ];
  const shares = [0, 0.25, 0.5, 0.75, 1];
  return (
    <svg width={width} height={height} fontSize={12} fill="#ccccdc">
      {shares.map((share) => {
        const [px, py] = at([share * most[0], share * most[1]]);
        return (
          <g key={share}>
            <path d={`M${left} ${py}H${width - 12}M${px} ${top}V${height - bottom}`} stroke="#ccccdc22" />
            <text x={left - 6} y={py + 4} textAnchor="end">{share * most[1]}</text>
            <text x={px} y={height - bottom + 16} textAnchor="middle">{share * most[0]}</text>
          </g>
        );
      })}
      <text x={(left + width) / 2} y={height - 6} textAnchor="middle">{xMatcher.matcher.options}</text>
      <text transform={`translate(10 ${(height - bottom) / 2}) rotate(-90)`} textAnchor="middle">{yMatcher.matcher.options}</text>
      {points.map((pair: number[], place: number) => <circle key={place} cx={at(pair)[0]} cy={at(pair)[1]} r={3} fill="#73bf69" />)}
    </svg>
  );
}

/** The end of an axis: quarters of it are short numbers. */
function niceCeil(value: number): number {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((factor) => factor * step).find((end) => end >= value)!;
}

const ORANGES = ['#7f2704', '#a63603', '#d94801', '#f16913', '#fd8d3c', '#fdae6b', '#fdd0a2', '#fee6ce', '#fff5eb'];

/** Grafana keeps its heat map in its core too: a row for each frame, a cell for the hour that ends at each value. */
function Heat({ panel, frames, width, height, range }: any) {
  const rows = frames
    .map((frame: any) => ({ name: getFieldDisplayName(frame.fields[1], frame, frames), times: frame.fields[0].values, values: frame.fields[1].values }))
    .sort((one: any, other: any) => Number(one.name) - Number(other.name));
  const most = Math.max(1, ...rows.flatMap((row: any) => row.values.filter(Number.isFinite)));
  const hour = 3_600_000;
  const [left, bottom, top, right] = [44, 42, 8, 12];
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const x = (time: number) => left + ((time - from) / (to - from)) * (width - left - right);
  const tall = (height - bottom - top) / rows.length;
  const color = (value: number) => ORANGES[Math.min(ORANGES.length - 1, Math.floor((value / most) * ORANGES.length))];
  const marks = Array.from({ length: 13 }, (_, place) => Math.ceil(from / hour) * hour + place * Math.ceil((to - from) / hour / 12) * hour).filter((time) => time <= to);
  const shown = (value: number) => value > panel.options.filterValues.le;
  return (
    <svg width={width} height={height} fontSize={12} fill="#ccccdc">
      {rows.map((row: any, place: number) => {
        const y = height - bottom - (place + 1) * tall;
        return (
          <g key={row.name}>
            <text x={left - 6} y={y + tall / 2 + 4} textAnchor="end">{row.name}</text>
            {row.times.map((time: number, at: number) => shown(row.values[at]) && x(time - hour) >= left && (
              <rect key={time} x={x(time - hour)} y={y} width={x(time) - x(time - hour) - 1} height={tall - 1} fill={color(row.values[at])} />
            ))}
          </g>
        );
      })}
      {marks.map((time) => (
        <text key={time} x={x(time)} y={height - bottom + 16} textAnchor="middle">{new Date(time).toISOString().slice(11, 16)}</text>
      ))}
      {ORANGES.map((fill, place) => <rect key={fill} x={left + 12 * place} y={height - 14} width={12} height={8} fill={fill} />)}
      <text x={left - 6} y={height - 6} textAnchor="end">0</text>
      <text x={left + 12 * ORANGES.length + 6} y={height - 6}>{Math.round(most)}</text>
    </svg>
  );
}

function Drawing({ panel, frames, width, height, range }: any) {
  const empty = frames.every((frame: DataFrame) => frame.length === 0);
  if (empty) {
    return <div className="empty">{panel.fieldConfig.defaults.noValue}</div>;
  }
  switch (panel.type) {
    case 'stat':
      return <Stat panel={panel} frames={frames} width={width} height={height} />;
    case 'bargauge':
      return <Bars panel={panel} frames={frames} width={width} height={height} />;
    case 'table':
      return <TableNG data={frames[0]} width={width} height={height} cellHeight={TableCellHeight.Sm} structureRev={1} />;
    case 'xychart':
      return <Points panel={panel} frames={frames} width={width} height={height} />;
    case 'heatmap':
      return <Heat panel={panel} frames={frames} width={width} height={height} range={range} />;
    default:
      return (
        <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc" legend={panel.options.legend}>
          {() => null}
        </TimeSeries>
      );
  }
}

function Panel({ scene, panel, width, height, done }: any) {
  const [frames, setFrames] = useState<DataFrame[] | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    prepare(scene, panel, width).then(setFrames, (problem) => setError(String(problem))).finally(done);
  }, []);
  const range: TimeRange = { from: dateTime(scene.from * 1000), to: dateTime(scene.to * 1000), raw: { from: '', to: '' } };
  return (
    <PanelChrome title={panel.title} width={width} height={height} padding={panel.type === 'table' ? 'none' : 'md'}>
      {(inner: number, tall: number) => {
        if (error) {
          return <div className="empty">{error}</div>;
        }
        return frames && <Drawing panel={panel} frames={frames} width={inner} height={tall} range={range} />;
      }}
    </PanelChrome>
  );
}

function Dashboard({ scene, done }: { scene: Scene; done: () => void }) {
  const column = (WIDTH - GAP) / 24;
  const shown = scene.dashboard.panels;
  const bottom = Math.max(...shown.map((panel: any) => panel.gridPos.y + panel.gridPos.h));
  const names = scene.dashboard.templating.list.filter((variable: any) => variable.hide !== 2 && variable.name !== 'datasource');
  const remaining = useRef(shown.filter((panel: any) => panel.type !== 'row').length);
  const count = () => {
    remaining.current -= 1;
    if (remaining.current === 0) {
      done();
    }
  };
  return (
    <div className="dashboard" style={{ width: WIDTH }}>
      <div className="title">{scene.dashboard.title}
        {names.map(({ name, label }: any) => (
          <span key={name}>
            {label} <b>{scene.variables[name] === '.*' ? 'All' : scene.variables[name]}</b>
          </span>
        ))}
      </div>
      <div style={{ position: 'relative', height: bottom * (CELL + GAP) }}>
        {shown.map((panel: any) => {
          const { x, y, w, h } = panel.gridPos;
          const width = w * column - GAP;
          const height = h * (CELL + GAP) - GAP;
          return (
            <div key={panel.id} style={{ position: 'absolute', left: GAP + x * column, top: y * (CELL + GAP), width, height }}>
              {panel.type === 'row'
                ? <div className="row">{panel.collapsed ? '▸' : '▾'} {panel.title}</div>
                : <Panel scene={scene} panel={panel} width={width} height={height} done={count} />}
            </div>
          );
        })}
      </div>
    </div>
  );
}

(window as any).draw = (scene: Scene) =>
  new Promise<void>((resolve) => {
    createRoot(document.getElementById('root')!).render(
      <ThemeContext.Provider value={THEME}>
        <GlobalStyles />
        <Dashboard scene={scene} done={resolve} />
      </ThemeContext.Provider>
    );
  });
