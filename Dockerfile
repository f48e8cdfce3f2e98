# Two images from one file. `darkroom` (the default, last in the file) is what production runs: the
# worker and the operator's commands, none of the wheels that carry test servers. `simulator` is for
# trying the system without a key.
#
# Python and Debian are the releases the tests run on. Every dependency comes from a committed lock
# file and is checked against its hashes; the project itself is then installed without looking for
# any.

FROM python:3.11.15-slim-bookworm AS base
# 10001: a number no distribution gives away, so files in volumes are plainly ours.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/darkroom --shell /usr/sbin/nologin darkroom \
    && install -d -o darkroom -g darkroom /var/lib/darkroom /var/lib/darkroom/spool \
        /var/lib/darkroom/uploads
ENV PATH=/opt/darkroom/bin:$PATH \
    # A folder that somebody mounts here cannot shadow our packages.
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DARKROOM_SPOOL_DIR=/var/lib/darkroom/spool
WORKDIR /var/lib/darkroom

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Without pip of its own: this environment's pip installs into it and stays behind in this stage.
RUN python -m venv --without-pip /opt/darkroom
WORKDIR /src
# The lock first: a change of our own code leaves this layer as it was.
COPY requirements/run.lock requirements/
RUN pip --python /opt/darkroom/bin/python install --require-hashes --no-deps -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY darkroom darkroom
COPY gateway gateway
COPY http1 http1
COPY playground playground
COPY simulator simulator
COPY storage storage
COPY tasks tasks
COPY workers workers
RUN pip --python /opt/darkroom/bin/python install --no-deps --no-build-isolation --no-index .

FROM build AS build-simulator
COPY requirements/local.lock requirements/
RUN pip --python /opt/darkroom/bin/python install --require-hashes --no-deps -r requirements/local.lock

FROM build AS build-darkroom
# What was needed to build the project is not needed to run it.
RUN pip --python /opt/darkroom/bin/python uninstall --yes hatchling editables trove-classifiers

FROM base AS simulator
COPY --from=build-simulator /opt/darkroom /opt/darkroom
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["darkroom"]
CMD ["simulator", "--help"]

FROM base AS darkroom
COPY --from=build-darkroom /opt/darkroom /opt/darkroom
USER 10001:10001
# The first lets calls under way end, the second leaves at once; see "The worker" in docs/design.md.
STOPSIGNAL SIGTERM
# No HEALTHCHECK: a worker's health is its lease in the results table, which the fleet itself watches.
# Anything asked from inside the container would only say that the container can run a command.
ENTRYPOINT ["darkroom"]
CMD ["worker"]
