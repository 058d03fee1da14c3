import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

// `FONOTEKA_API` names a running API for `npm run dev`; the built portal always talks to the host that served it.
const api = process.env["FONOTEKA_API"] ?? "http://127.0.0.1:8080";

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
      this.emitFile({
        type: "asset",
        fileName: `licences/${name}`,
        source: readFileSync(`node_modules/${from}`),
      });
    }
  },
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
  plugins: [svelte(), licences, compressed],
  // jsPDF asks for these when it is given HTML or a bitmap, which it never is here.
  resolve: {
    alias: Object.fromEntries(
      ["html2canvas", "dompurify", "canvg"].map((name) => [name, "/src/exports/emptyModule.ts"]),
    ),
  },
  build: {
    outDir: "../api/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false }, // whatever runs es2022 and Svelte 5 needs none
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "core", test: (id: string) => id.endsWith("/src/main.ts") },
            {
              name: "echarts",
              test: (id: string) => /node_modules\/(echarts|zrender|tslib)\//.test(id),
            },
          ],
        },
      },
    },
  },
  server: { host: "127.0.0.1", proxy: { "/api": { target: api, ws: true } } },
});
