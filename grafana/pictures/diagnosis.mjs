// node diagnosis.mjs --exporter http://127.0.0.1:10112 --to FOLDER [--width 1280] [--height 900] [--scheme light|dark]
// Takes a picture of the exporter's page /diagnosis, cut off at --height, and fails if the page is wider than the window.
import { chromium } from 'playwright-core';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    exporter: { type: 'string', default: 'http://127.0.0.1:10112' },
    to: { type: 'string', default: '.' },
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '900' },
    scheme: { type: 'string', default: 'light' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const browser = await chromium.launch({ executablePath: values.chromium, args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'] });
const viewport = { width: Number(values.width), height: Number(values.height) };
const page = await browser.newPage({ viewport, colorScheme: values.scheme, javaScriptEnabled: true });
await page.goto(`${values.exporter}/diagnosis`);
const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
await page.screenshot({ path: `${values.to}/diagnosis.png` });
await browser.close();
if (excess > 0) {
  console.error(`the page is ${excess} pixels wider than the window`);
  process.exit(1);
}
console.log(`${values.to}/diagnosis.png`);
