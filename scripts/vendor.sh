#!/bin/sh
# Writes book/_ext/playground/jax.js: of jax-js what the playground needs, as one script, with its licence.
# Node.js is needed here, and nowhere else.
set -eu
version=0.1.25
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-save --no-package-lock "@jax-js/jax@$version" esbuild@0.25
echo 'export { defaultDevice, init, jit, nn, numpy, random, valueAndGrad } from "@jax-js/jax";' > entry.js
# of the devices only WebAssembly is used: what the others load stays out
npx esbuild entry.js --bundle --minify --format=iife --global-name=jax --legal-comments=none \
  --external:./webgpu-* --external:./webgl-* --outfile=bundle.js --log-level=warning
{
  echo "/*! jax-js $version, https://github.com/ekzhang/jax-js"
  cat node_modules/@jax-js/jax/LICENSE
  echo "*/"
  cat bundle.js
} > "$root/book/_ext/playground/jax.js"
