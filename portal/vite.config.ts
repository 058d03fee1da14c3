import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

// The API for `npm run dev`. The built portal talks to the host that served it.
const api = process.env["FONOTEKA_API"] ?? "http://127.0.0.1:8080";

// The licences of the packages that the build contains, by their names below /licences/.
const licenceFiles = {
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
    for (const [name, path] of Object.entries(licenceFiles)) {
      const source = readFileSync(`node_modules/${path}`);
      this.emitFile({ type: "asset", fileName: `licences/${name}`, source });
    }
  },
};

/** Writes a `.gz` beside each text file of the build; `api/routes/portal.py` sends it. */
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

// jsPDF imports these packages for HTML and bitmaps, which the portal does not use.
const unusedPackages = ["html2canvas", "dompurify", "canvg"];

export default defineConfig({
  plugins: [svelte(), licences, compressed],
  resolve: {
    alias: Object.fromEntries(unusedPackages.map((name) => [name, "/src/exports/emptyModule.ts"])),
  },
  build: {
    outDir: "../api/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false }, // every browser that runs ES2022 has modulepreload
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // All that main.ts imports statically, which every page needs. Split by their users,
            // these modules are a tenth larger.
            { name: "core", test: (id: string) => id.endsWith("/src/main.ts") },
            { name: "echarts", test: (id: string) => id.includes("/node_modules/echarts/") },
          ],
        },
      },
    },
  },
  server: { host: "127.0.0.1", proxy: { "/api": { target: api, ws: true } } },
});
