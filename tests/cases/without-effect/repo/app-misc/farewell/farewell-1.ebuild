EAPI=8
DESCRIPTION="A package that no machine asks for; its flags are known all the same"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="other words_of_cases_known"
S=${WORKDIR}
