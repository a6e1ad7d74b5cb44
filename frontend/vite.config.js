// One file without a hash in its name: Django's static files add their own. The same sources give the same bytes.
import { defineConfig } from "vite";

export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../static/viewer",
    emptyOutDir: true,
    target: "es2022",
    lib: { entry: "src/main.js", formats: ["es"], fileName: () => "viewer.js" },
  },
});
