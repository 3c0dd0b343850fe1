#!/bin/sh
# Runs in the router's root, without network, before anything is packed.
set -e
sed -n 's/^Port //p' /etc/tinyproxy/tinyproxy.conf > /etc/ports
