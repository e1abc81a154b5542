# One image for all services: `docker run warren proxy …`. The command chooses.

# What it is compiled to is the same on every machine: so the building machine does it, whatever the image is for.
FROM --platform=$BUILDPLATFORM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Without the workspace that brings a Node along.
RUN npm ci --workspaces=false --no-audit --no-fund --loglevel=error
COPY tsconfig.json ./
COPY tools tools
COPY proto/gen proto/gen
COPY services services
RUN npm run --silent build
# What the image has besides: made here, so that nothing runs in the image itself and one for another processor needs no emulator.
RUN install -d -m 0700 /made/data /made/warren /made/warren/accounts /made/warren/accounts/broker \
      /made/warren/accounts/proxy /made/warren/accounts/worker /made/warren/accounts/demo /made/warren/accounts/directory /made/warren/accounts/naming \
      /made/warren/invite /made/warren/invites /made/warren/invites/1 /made/warren/invites/2 /made/warren/invites/3 \
      /made/warren/invites/4 \
 && install -d /made/bin && ln -s /app/bin/warren.js /made/bin/warren

# No dependency has a binary of its own.
FROM --platform=$BUILDPLATFORM node:24-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --workspaces=false --omit=dev --omit=optional --no-audit --no-fund --loglevel=error \
 # npm's own notes; nothing reads them at run time.
 && rm node_modules/.package-lock.json

FROM node:24-trixie-slim
ARG WARREN_VERSION=0.1.0
ARG WARREN_REVISION=
LABEL org.opencontainers.image.title="Warren" \
      org.opencontainers.image.description="Publish web services, share files and talk from behind NAT, through one RabbitMQ broker" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="The Warren authors" \
      org.opencontainers.image.version="${WARREN_VERSION}" \
      org.opencontainers.image.revision="${WARREN_REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/node:24-trixie-slim"
ENV NODE_ENV=production WARREN_DATA=/data WARREN_WORKER_HEALTH_PORT=8082
COPY --from=build /made/bin/ /usr/local/bin/
# Volumes that are mounted here for the first time take over this ownership.
COPY --from=build --chown=node:node /made/data /data
COPY --from=build --chown=node:node /made/warren /run/warren
WORKDIR /app
COPY LICENSE package.json ./
COPY bin bin
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
# Nothing but /data is written to: the rest can be read-only.
WORKDIR /data
STOPSIGNAL SIGTERM
# Asks whatever this container runs, at the port that its settings say.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "/app/bin/warren.js", "health"]
ENTRYPOINT ["node", "/app/bin/warren.js"]
CMD ["--help"]
