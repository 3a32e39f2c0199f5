#!/bin/sh
# Installs Chromium where that is possible; says so where it is not. The browser tests skip
# without it, unless TESTS_REQUIRE_BROWSER is set.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing Chromium for the browser tests."
  apt-get update -qq >/dev/null 2>&1
  apt-get install -y -qq --no-install-recommends \
    chromium libegl-mesa0 libgl1-mesa-dri fonts-dejavu-core >/dev/null 2>&1 && exit 0
fi
echo "No Chromium: the browser tests are skipped (install it with: apt-get install chromium)."
exit 0
