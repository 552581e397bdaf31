# The runtime with its console. TypeScript runs as it is, so the sources are the program.
#   docker build -t bursar . && docker run -p 127.0.0.1:4680:4680 -v bursar:/data bursar

FROM node:24-slim AS console
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No install scripts: they bring a Node, which is here, and a Postgres for tests.
RUN npm ci --include=dev --ignore-scripts
COPY tsconfig.json vite.config.ts ./
COPY src ./src
RUN npx vite build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production \
    BURSAR_HOST=0.0.0.0 \
    BURSAR_PORT=4680 \
    BURSAR_DATA=/data
RUN mkdir /data && chown node:node /data
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
# What /openrpc.json answers.
COPY schemas/openrpc.json ./schemas/
COPY --from=console /app/dist/console ./dist/console
USER node
VOLUME /data
EXPOSE 4680
# It ends on SIGTERM after it has settled what is in flight.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.BURSAR_PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=64", "src/main.ts"]
