/** Builds the console (src/console) into dist/console, from where the runtime serves it at `/`. */
import { fileURLToPath } from "node:url"
import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

export default defineConfig({
  root: path("src/console"),
  plugins: [react()],
  build: {
    outDir: path("dist/console"),
    emptyOutDir: true,
    target: "es2023",
    chunkSizeWarningLimit: 2_000
  },
  worker: { format: "es" }
})
