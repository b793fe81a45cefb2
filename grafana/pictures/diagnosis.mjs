// node diagnosis.mjs --to FOLDER [--exporter http://127.0.0.1:10112] [--width 1280] [--height 900] [--scheme light|dark]
//   [--page file:///tmp/advice.html --name advice]
// Takes a picture of the exporter's page /diagnosis, or of another page, cut off at --height, and fails if the page is wider
// than the window.
import { chromium } from 'playwright-core';
import { parseArgs } from 'node:util';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-quic',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
];
const { values } = parseArgs({
  options: {
    exporter: { type: 'string', default: 'http://127.0.0.1:10112' },
    page: { type: 'string' },
    name: { type: 'string', default: 'diagnosis' },
    to: { type: 'string', default: '.' },
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '900' },
    scheme: { type: 'string', default: 'light' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const browser = await chromium.launch({ executablePath: values.chromium, args: FLAGS });
const viewport = { width: Number(values.width), height: Number(values.height) };
const page = await browser.newPage({ viewport, colorScheme: values.scheme, javaScriptEnabled: true });
page.setDefaultTimeout(180_000); // the machine may be busy
await page.goto(values.page ?? `${values.exporter}/diagnosis`);
const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await page.screenshot({ path: `${values.to}/${values.name}.png` });
await browser.close();
if (excess > 0) {
  console.error(`the page is ${excess} pixels wider than the window`);
  process.exit(1);
}
console.log(`${values.to}/${values.name}.png`);
