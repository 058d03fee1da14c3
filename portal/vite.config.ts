import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

// `FONOTEKA_API` names a running API for `npm run dev`; the built portal always talks to the host that served it.
const api = process.env["FONOTEKA_API"] ?? "http://127.0.0.1:8080";

const core =
  /node_modules\/(svelte|openapi-fetch|esm-env|clsx)\/|vite\/|src\/(api\/(?!statistics)|icons\/|menu\/)|src\/[^/]+$|src\/i18n\/(ru|words|dates)|src\/player\/playing|calls\/(saying|RecordingCell|RecordSwitch)/;

// The pages that are files of their own, by the first word of their address; see src/pages/pages.ts.
const pages = {
  login: "login/Login.svelte",
  stats: "statistics/StatisticsPage.svelte",
  now: "now/NowPage.svelte",
  users: "users/UsersPage.svelte",
  audit: "audit/AuditPage.svelte",
};

// What the portal ships of others is shipped with its terms: below /licences/ of every installation.
const terms = {
  "echarts-NOTICE.txt": "echarts/NOTICE",
  "echarts-LICENSE.txt": "echarts/LICENSE",
  "zrender-LICENSE.txt": "zrender/LICENSE",
  "jspdf-LICENSE.txt": "jspdf/LICENSE",
  "svg2pdf-LICENSE.txt": "svg2pdf.js/LICENSE",
  "write-excel-file-LICENSE.txt": "write-excel-file/LICENSE",
  "fflate-LICENSE.txt": "fflate/LICENSE",
  "dejavu-fonts-LICENSE.txt": "dejavu-fonts-ttf/LICENSE",
};

const licences: Plugin = {
  name: "licences",
  generateBundle() {
    for (const [name, from] of Object.entries(terms)) {
      this.emitFile({ type: "asset", fileName: `licences/${name}`, source: readFileSync(`node_modules/${from}`) });
    }
  },
};

/** The page's own files stand in `index.html`, so that `before-paint.js` can ask for them before `core` has come and named them. */
const pageFiles: Plugin = {
  name: "page-files",
  transformIndexHtml: {
    order: "post",
    handler(html, { bundle }) {
      const chunks = Object.values(bundle ?? {}).filter((one) => one.type === "chunk");
      const filesOf = (component: string): string[] => {
        const chunk = chunks.find((one) => one.facadeModuleId?.endsWith(`/src/pages/${component}`));
        if (chunk === undefined) throw new Error(`no file is built of ${component}`);
        const needed = [chunk, ...chunks.filter((one) => chunk.imports.includes(one.fileName))];
        const files = needed.flatMap((one) => [one.fileName, ...(one.viteMetadata?.importedCss ?? [])]);
        return files.map((file) => `/${file}`).filter((file) => !html.includes(file)); // index.html itself asks for core
      };
      const files = Object.fromEntries(Object.entries(pages).map(([page, component]) => [page, filesOf(component)]));
      return html.replace('src="/before-paint.js"', `src="/before-paint.js" data-files='${JSON.stringify(files)}'`);
    },
  },
  apply: "build",
};

/** Beside each text that browsers ask for lies the same as `.gz`: the API sends that (`api/routes/portal.py`). */
const compressed: Plugin = {
  name: "compressed",
  writeBundle({ dir = "" }) {
    const names = readdirSync(dir, { recursive: true, encoding: "utf8" });
    for (const name of names.filter((name) => /\.(js|css|html)$/.test(name))) {
      const file = join(dir, name);
      writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
    }
  },
  apply: "build",
};

export default defineConfig({
  plugins: [svelte(), licences, pageFiles, compressed],
  // jsPDF asks for these when it is given HTML or a bitmap, which it never is here.
  resolve: { alias: Object.fromEntries(["html2canvas", "dompurify", "canvg"].map((name) => [name, "/src/exports/never.ts"])) },
  build: {
    outDir: "../api/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false }, // whatever runs es2022 and Svelte 5 needs none
    // What every page needs is one file: split as finely as its users would have it, it is a tenth larger.
    rolldownOptions: { output: { codeSplitting: { groups: [
            { name: "core", test: core },
            { name: "echarts", test: /node_modules\/(echarts|zrender|tslib)\/|src\/charts\/engine/ },
          ] } } },
  },
  server: { host: "127.0.0.1", proxy: { "/api": { target: api, ws: true } } },
});
