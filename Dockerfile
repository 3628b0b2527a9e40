# adloom for servers: coordinators, GPU workers, metrics, Prefect's server. See docs/deploy.md.
#
#   docker build -t adloom:0.1.0 .
#   docker build -t adloom:0.1.0-cu126 --build-arg TORCH_INDEX=https://… .
#
# torch's own wheels bring CUDA: the host needs the driver and the NVIDIA container toolkit only.
# TORCH_INDEX is the package index of another build of torch (PyTorch's page of older CUDA versions
# lists them); empty: the build that pip finds by itself.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=
WORKDIR /opt/adloom
RUN python -m venv .venv
COPY constraints.txt requirements-bare.txt ./
RUN if [ -n "${TORCH_INDEX}" ]; then .venv/bin/pip install --no-cache-dir \
      --index-url "${TORCH_INDEX}" \
      "$(grep '^torch==' constraints.txt)"; fi
COPY . .
RUN .venv/bin/pip install --no-cache-dir -c constraints.txt -e '.[upscaling]' \
 && .venv/bin/pip install --no-cache-dir --no-deps -r requirements-bare.txt \
 && .venv/bin/python -m compileall -q .venv/lib adloom cli dashboard db flows models services storage tasks workers

FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --home-dir /var/lib/adloom --create-home adloom
COPY --from=build /opt/adloom /opt/adloom
ENV PATH=/opt/adloom/.venv/bin:$PATH HOME=/var/lib/adloom ADLOOM_HOME=/var/lib/adloom \
    PYTHONDONTWRITEBYTECODE=1 DO_NOT_TRACK=1
WORKDIR /opt/adloom
USER 10001:10001
ENTRYPOINT ["adloom"]
CMD ["--help"]
