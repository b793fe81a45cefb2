// node take.mjs --prometheus http://127.0.0.1:9090 --to FOLDER [--minutes 60] [--scrape 30] [--height 900]
//   [--set name=value]... [UID...]
// --height cuts a picture off there.
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { createServer } from 'node:http';
import { readFileSync, readdirSync, mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

const HERE = new URL('.', import.meta.url).pathname;
const BOARDS = `${HERE}../dashboards/`;
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-quic',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    to: { type: 'string', default: 'pictures' },
    minutes: { type: 'string', default: '60' },
    scrape: { type: 'string', default: '30' },
    height: { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    set: { type: 'string', multiple: true, default: [] },
  },
});

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

async function serve(built) {
  const server = createServer(async (request, response) => {
    if (request.url.startsWith('/prometheus/')) {
      const answer = await fetch(values.prometheus + request.url.slice('/prometheus'.length), {
        method: 'POST', body: await body(request), headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
      response.end(Buffer.from(await answer.arrayBuffer()));
    } else if (built[request.url]) {
      response.setHeader('content-type', request.url.endsWith('.js') ? 'text/javascript' : 'text/css').end(built[request.url]);
    } else if (request.url === '/') {
      response.setHeader('content-type', 'text/html').end(readFileSync(`${HERE}page.html`));
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return server;
}

const bundle = await build({
  entryPoints: [`${HERE}page.tsx`], bundle: true, write: false, outdir: '/', format: 'iife', jsx: 'automatic', logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.woff2': 'empty', '.woff': 'empty', '.ttf': 'empty' },
});
const server = await serve(Object.fromEntries(bundle.outputFiles.map((file) => [file.path, file.contents])));
const browser = await chromium.launch({ executablePath: values.chromium, args: FLAGS });
mkdirSync(values.to, { recursive: true });
const wanted = positionals.length ? positionals : readdirSync(BOARDS).map((name) => name.replace('.json', ''));
for (const uid of wanted) {
  const dashboard = JSON.parse(readFileSync(`${BOARDS}${uid}.json`));
  const tall = Math.max(...dashboard.panels.map((panel) => panel.gridPos.y + panel.gridPos.h)) * 38 + 60;
  const page = await browser.newPage({ viewport: { width: 1600, height: tall } });
  page.setDefaultTimeout(180_000); // the bundle is large, and the machine may be busy
  page.on('pageerror', (error) => console.error(`${uid}: ${error.message}`));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const now = Math.floor(Date.now() / 1000);
  const chosen = Object.fromEntries(values.set.map((pair) => pair.split('=')));
  const variables = { owner: '.*', tag: '.*', fleet: '.*', dag_id: '.*', pool: '.*', component: '.*', worker: '.*', ...chosen };
  await page.evaluate((scene) => window.draw(scene), {
    dashboard,
    variables, from: now - 60 * Number(values.minutes), to: now, scrapeSeconds: Number(values.scrape),
  });
  await page.waitForTimeout(1500);
  const clip = { x: 0, y: 0, width: 1600, height: values.height ? Number(values.height) : tall };
  await page.screenshot({ path: `${values.to}/${uid}.png`, clip });
  await page.close();
  console.log(`${values.to}/${uid}.png`);
}
await browser.close();
server.close();
