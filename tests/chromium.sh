#!/bin/sh
# Installs Chromium where that is possible; says so where it is not. The browser tests skip
# without it, unless TESTS_REQUIRE_BROWSER is set. They are faster with its headless shell, which
# not every distribution has.
set -u

install() {
  echo "Installing $1 for the browser tests."
  apt-get install -y -qq --no-install-recommends \
    "$1" libegl-mesa0 libgl1-mesa-dri fonts-dejavu-core >/dev/null 2>&1
}

lacks() { ! command -v "$1" >/dev/null 2>&1; }

if [ "$(id -u)" = 0 ] && ! lacks apt-get; then
  lacks chromium && apt-get update -qq >/dev/null 2>&1 && install chromium
  lacks chromium-headless-shell && apt-cache show chromium-headless-shell >/dev/null 2>&1 &&
    install chromium-headless-shell
fi
lacks chromium && lacks chromium-headless-shell &&
  echo "No Chromium: the browser tests are skipped (install it with: apt-get install chromium)."
exit 0
