# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

# @ECLASS: cargo.eclass
# @MAINTAINER:
# The cloche authors
# @SUPPORTED_EAPIS: 8
# @BLURB: as much of Gentoo's eclass of this name as autogen's ebuilds use
# @DESCRIPTION:
# Gentoo's own eclass is not a part of this repository. This one has its names and is
# written for tests. Nothing is ever fetched from the addresses that it makes.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac

if [[ -z ${_CARGO_ECLASS} ]]; then
_CARGO_ECLASS=1

BDEPEND="virtual/rust"

# @ECLASS_VARIABLE: CRATES
# @PRE_INHERIT
# @DEFAULT_UNSET
# @DESCRIPTION:
# Crates as NAME@VERSION.

# @ECLASS_VARIABLE: CARGO_CRATE_URIS
# @OUTPUT_VARIABLE
# @DESCRIPTION:
# SRC_URI of the crates.
CARGO_CRATE_URIS=
for _cargo_each in ${CRATES}; do
	CARGO_CRATE_URIS+=" https://crates.example.org/${_cargo_each/@//} -> ${_cargo_each/@/-}.crate"
done
unset _cargo_each

# @FUNCTION: cargo_src_unpack
# @DESCRIPTION:
# Unpack sources, and crates where cargo finds them instead of in a registry.
cargo_src_unpack() {
	local each digest vendor=${WORKDIR}/cargo_home/gentoo
	export CARGO_HOME=${WORKDIR}/cargo_home CARGO_NET_OFFLINE=true
	mkdir -p "${vendor}" || die
	for each in ${A}; do
		if [[ ${each} == *.crate ]]; then
			tar -xf "${DISTDIR}/${each}" -C "${vendor}" || die
			digest=$(sha256sum "${DISTDIR}/${each}") || die
			echo "{\"package\":\"${digest%% *}\",\"files\":{}}" \
				> "${vendor}/${each%.crate}/.cargo-checksum.json" || die
		else
			unpack "${each}"
		fi
	done
	cat > "${CARGO_HOME}/config.toml" <<-EOF || die
		[source.gentoo]
		directory = "${vendor}"
		[source.crates-io]
		replace-with = "gentoo"
	EOF
}

# @FUNCTION: cargo_src_compile
# @DESCRIPTION:
# Compile.
cargo_src_compile() {
	cargo build --release --offline --locked || die
}

# @FUNCTION: cargo_src_test
# @DESCRIPTION:
# Run the tests.
cargo_src_test() {
	cargo test --release --offline --locked || die "tests failed"
}

fi

EXPORT_FUNCTIONS src_unpack src_compile src_test
