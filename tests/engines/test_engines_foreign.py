"""The other engines keep what native promises, as root and as an ordinary user.

What one of them does not keep is told here, and has to be true: a check that is listed fails.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from tests.sandbox.driving import drive_as_root, drive_as_user
from tests.support import cannot

from cloche.sandbox import userns

pytestmark = pytest.mark.real

ENGINES = ("bwrap", "oci:crun", "oci:runc", "nspawn", "podman", "chroot")
ROOT_ONLY = ("nspawn",)
# Those of native's checks that are not about how it does it, or take long.
PROMISES = (
    "check_the_inside_is_fixed",
    "check_only_its_own_processes_are_seen",
    "check_only_the_loopback_device_is_there",
    "check_proc_cannot_change_the_host",
    "check_rights_are_few_but_setuid_works",
    "check_writes_land_in_top_and_mount_points_do_not",
    "check_binds_are_read_only_unless_asked",
    "check_a_fifo_bound_read_only_takes_data_and_stays_as_it_is",
    "check_links_in_the_root_lead_nowhere_outside",
    "check_a_read_only_root_is_read_only",
    "check_limits",
    "check_nothing_tells_where_the_host_keeps_it",
    "check_the_kernel_and_its_arguments_are_hidden",
    "check_what_the_host_has_set_does_not_show",
    "check_keyrings_of_the_host_are_out_of_reach",
    "check_devices_work_but_their_nodes_are_the_hosts",
    "check_devices_in_a_layer_do_not_open",
    "check_a_daemon_ends_with_its_sandbox",
    "check_the_timeout_ends_the_whole_tree",
    "check_kill_from_outside",
    "check_statuses_and_signals",
    "check_resources_are_counted",
    "check_descriptors_go_in_under_their_numbers",
    "check_errors_say_what_failed",
    "check_what_tools_would_alter_is_refused",
    "check_a_terminal_of_its_own",
    "check_the_callers_terminal_is_given_back",
    "check_nothing_outlives_a_killed_program",
    "check_processes_of_the_host_cannot_be_touched",
    "check_nested_rights_lift_nothing",
    "check_mounts_made_inside_stay_there",
    "check_control_groups_are_out_of_reach",
    "check_files_cannot_be_opened_by_handle",
    "check_no_way_leads_up_and_out",
    "check_the_first_process_is_no_way_out",
    "check_a_program_that_is_a_link_to_the_engine_is_refused",
    "check_sockets_of_the_host_are_out_of_reach",
    "check_the_kernels_log_is_not_read",
    "check_ones_own_name_is_found_in_both_families",
    "check_programs_of_another_cpu_run_in_that_sandbox_alone",
)
# Chroot is none to try an attack in: the host is right there.
HARMLESS = (
    "check_the_inside_is_fixed",
    "check_only_the_loopback_device_is_there",
    "check_writes_land_in_top_and_mount_points_do_not",
    "check_binds_are_read_only_unless_asked",
    "check_a_fifo_bound_read_only_takes_data_and_stays_as_it_is",
    "check_links_in_the_root_lead_nowhere_outside",
    "check_a_read_only_root_is_read_only",
    "check_limits",
    "check_a_daemon_ends_with_its_sandbox",
    "check_the_timeout_ends_the_whole_tree",
    "check_kill_from_outside",
    "check_statuses_and_signals",
    "check_resources_are_counted",
    "check_descriptors_go_in_under_their_numbers",
    "check_errors_say_what_failed",
    "check_what_tools_would_alter_is_refused",
    "check_a_terminal_of_its_own",
    "check_nothing_outlives_a_killed_program",
    "check_programs_of_another_cpu_run_in_that_sandbox_alone",
)
BROKEN: dict[str, set[str]] = {
    "bwrap": {"check_rights_are_few_but_setuid_works"},  # it sets NO_NEW_PRIVS
    "nspawn": {
        "check_proc_cannot_change_the_host",  # what of /proc it masks is less
        "check_the_kernel_and_its_arguments_are_hidden",
        # Nodes of its own, which do no harm.
        "check_devices_work_but_their_nodes_are_the_hosts",
        "check_nested_rights_lift_nothing",  # a whole /proc may be mounted
        "check_control_groups_are_out_of_reach",  # it filters no calls by their arguments
    },
    "chroot": {"check_the_inside_is_fixed", "check_only_the_loopback_device_is_there"},
}


# crun drops nodev from the root; in a user namespace the kernel sees to that.
DEVICES_OPEN = ("oci:crun", "podman")


def promises(engine: str) -> tuple[str, ...]:
    return HARMLESS if engine == "chroot" else PROMISES


@cache
def results(engine: str, root: Path, user: str | None) -> dict[str, str]:
    if user is None:
        return drive_as_root(engine, root, promises(engine))
    return drive_as_user(engine, user, root, promises(engine))


def judge(engine: str, told: dict[str, str], *, as_root: bool) -> None:
    """Whatever is not listed holds, and what is listed does not."""
    broken = {name for name, result in told.items() if result != "ok"}
    expected = BROKEN.get(engine, set())
    if as_root and engine in DEVICES_OPEN:
        expected = expected | {"check_devices_in_a_layer_do_not_open"}
    unexpected = "\n".join(told[name] for name in sorted(broken - expected))
    assert not unexpected, f"{sorted(broken)}\n{unexpected}"
    assert broken == expected
    assert set(told) == set(promises(engine))


def groups() -> set[Path]:
    """Control groups that engines have made, those of others running now too."""
    return {path for path in Path("/sys/fs/cgroup").rglob("cloche-*") if path.is_dir()}


@pytest.mark.parametrize("engine", ENGINES)
def test_no_control_group_is_left(engine: str, small_root: Path) -> None:
    if not userns.is_real_root():
        cannot("the tests do not run as root")
    before = groups()
    told = drive_as_root(engine, small_root, ("check_a_read_only_root_is_read_only",))
    assert set(told.values()) == {"ok"}
    left = {path for path in groups() - before if not Path("/proc", owner(path)).exists()}
    assert not left


def owner(group: Path) -> str:
    return group.name.split("-")[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_as_root(engine: str, small_root: Path) -> None:
    if not userns.is_real_root():
        cannot("the tests do not run as root")
    judge(engine, results(engine, small_root, None), as_root=True)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name not in ROOT_ONLY])
def test_as_an_ordinary_user(engine: str, users_root: Path, small_user: str) -> None:
    judge(engine, results(engine, users_root, small_user), as_root=False)
