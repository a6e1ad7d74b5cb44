"""The failure table: what can break, and the tests that show what then happens. `python -m tests.failure_table` prints
it as the table of docs/reliability.md.

May import: the standard library only. `tests/test_failure_table.py` holds it against the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

STORM = "tests/faults/test_faults.py::test_row_of_the_failure_table"
DRILLS = "tests/faults/test_drills.py"
WORKERS = "tests/diagnosis/test_workers.py"
FAULTS = "tests/diagnosis/test_worker_faults.py"
DURABILITY = "tests/diagnosis/test_durability.py"
INFER = "tests/diagnosis/test_infer.py"
SWEEPERS = "tests/diagnosis/test_sweepers.py"


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `scale` says how large the test is, and what of the fault cannot be made here and why."""

    fault: str
    tests: tuple[str, ...]
    scale: str = ""


ROWS: dict[str, Row] = {
    "F1": Row("web worker killed while it receives a film", (STORM,), "in three storms of a minute"),
    "F2": Row(
        "power cut after the 201",
        (f"{DURABILITY}::test_f2_file_then_folder_then_rows_are_on_disk_before_the_answer",),
        "the order of fsync, rename, fsync, COMMIT, answer in 10 of 10; the power itself is not cut: no such machine",
    ),
    "F3": Row(
        "killed between COMMIT and hint",
        (f"{DURABILITY}::test_f3_a_web_worker_that_dies_between_commit_and_hint_loses_no_film",),
        "10 processes",
    ),
    "F4": Row(
        "Redis comes back empty",
        (f"{DRILLS}::test_f4_redis_comes_back_empty_five_times_and_nobody_waits_long", STORM),
        "5 times",
    ),
    "F5": Row("Redis frozen", (f"{DRILLS}::test_f5_films_are_taken_in_at_once_while_redis_is_frozen", STORM)),
    "F6": Row("Redis away", (f"{DRILLS}::test_f6_films_wait_for_redis_without_being_refused_or_forgotten", STORM)),
    "F7": Row(
        "Redis killed again and again",
        (
            "tests/diagnosis/test_broker_faults.py::"
            "test_f7_workers_hear_the_next_hint_after_redis_was_killed_again_and_again",
            "tests/diagnosis/test_deaf_worker.py::test_f7_a_worker_that_hears_of_no_work_ends_to_be_started_anew",
            STORM,
        ),
        "3 times; a half-open connection (packets dropped by a firewall) is not made here: the socket time-outs of the "
        "settings and the sweeper's hints are what helps, and the progress of jobs shows it",
    ),
    "F8": Row(
        "worker's main process killed",
        (f"{WORKERS}::test_f8_f10_after_every_death_each_film_has_one_result_under_its_own_id", STORM),
        "2 kills and those of the storms, lease 3 s",
    ),
    "F9": Row(
        "worker's child killed, or out of memory",
        (f"{FAULTS}::test_f9_f11_a_decoder_that_hangs_or_eats_memory_costs_its_child_and_no_other_film", STORM),
        "memory by RLIMIT_AS; a cgroup's limit ends the process by the same SIGKILL",
    ),
    "F10": Row(
        "poison film",
        (
            f"{WORKERS}::test_f8_f10_after_every_death_each_film_has_one_result_under_its_own_id",
            f"{FAULTS}::test_f10_of_a_batch_of_eight_only_the_poison_film_fails_and_only_after_three_deaths_alone",
        ),
        "2 in 42, and 1 in a batch of 8",
    ),
    "F11": Row(
        "decoder or model hangs",
        (
            f"{FAULTS}::test_f9_f11_a_decoder_that_hangs_or_eats_memory_costs_its_child_and_no_other_film",
            f"{FAULTS}::test_f11_an_infer_process_that_hangs_ends_itself_at_the_deadline",
        ),
        "an endless loop that swallows exceptions; a call of C that lets go of the interpreter, and one that does not",
    ),
    "F12": Row(
        "paused past the lease, then writes",
        (
            f"{INFER}::test_f12_a_worker_that_lost_its_lease_writes_nothing",
            f"{FAULTS}::test_f12_a_worker_that_is_paused_past_its_lease_writes_nothing_when_it_wakes",
        ),
    ),
    "F13": Row(
        "ten hints for one job",
        (f"{FAULTS}::test_f13_f14_ten_hints_and_a_job_longer_than_the_visibility_timeout_run_once",),
        "5 jobs, 50 hints",
    ),
    "F14": Row(
        "job longer than the broker's visibility timeout",
        (f"{FAULTS}::test_f13_f14_ten_hints_and_a_job_longer_than_the_visibility_timeout_run_once",),
        "3 s against 1 s; no task has an ETA",
    ),
    "F15": Row(
        "PostgreSQL killed",
        (f"{DRILLS}::test_f15_postgresql_killed_four_times_costs_no_film_and_no_answer_500", STORM),
        "4 times",
    ),
    "F16": Row(
        "asked to end at any moment",
        (
            "tests/diagnosis/test_restarts.py::test_f16_workers_that_are_asked_to_end_at_any_moment_leave_nothing_behind",
        ),
        "6 signals, 24 films; 200 and 400 with CXR_FULL_COUNTS=1",
    ),
    "F17": Row(
        "deploy with jobs in flight",
        ("tests/diagnosis/test_restarts.py::test_f17_a_rolling_restart_loses_doubles_and_refuses_no_film",),
        "2 restarts, 24 films; 10 and 100 with CXR_FULL_COUNTS=1; gunicorn by SIGHUP",
    ),
    "F18": Row(
        "sweeper dies, hangs, or runs twice",
        (
            f"{SWEEPERS}::test_f18_when_one_of_two_sweepers_is_killed_the_other_takes_over_within_five_seconds",
            f"{SWEEPERS}::test_f18_a_sweeper_that_is_paused_while_it_holds_the_lock_loses_it_within_five_seconds",
            f"{SWEEPERS}::test_f18_two_sweepers_sweep_no_more_often_than_one",
            "tests/diagnosis/test_monitoring.py::test_f18_half_a_minute_without_a_sweep_is_an_alert",
            STORM,
        ),
    ),
    "F19": Row(
        "disk full",
        (
            f"{DURABILITY}::test_f19_a_full_disk_refuses_the_film_keeps_nothing_and_recovers",
            f"{INFER}::test_f19_a_full_disk_costs_no_attempt",
            STORM,
        ),
        "a file system of 1 MB where the tests run as root",
    ),
    "F20": Row(
        "bit rot",
        (
            f"{DURABILITY}::test_f20_a_byte_that_flipped_in_the_original_is_found_by_the_worker_and_raises_the_alarm",
            "tests/pages/test_images.py::test_f20_a_byte_that_flipped_on_the_disk_is_found_recorded_and_not_shown",
            STORM,
        ),
        "8 places of each kind of file",
    ),
    "F21": Row("batch shifted by one", (f"{INFER}::test_f21_a_batch_shifted_by_one_is_refused_by_the_database",)),
    "F22": Row(
        "GPU lost",
        (
            f"{INFER}::test_f22_trouble_of_the_machine_costs_no_attempt",
            f"{INFER}::test_f22_fifty_cuda_errors_fail_no_film",
            f"{INFER}::test_f22_a_queue_is_not_spun_while_the_gpu_is_lost",
        ),
        "errors of TensorFlow and XLA by name; no GPU is pulled out",
    ),
    "F23": Row("model file changed", (f"{INFER}::test_f23_a_changed_model_file_predicts_nothing", STORM)),
    "F24": Row(
        "clock jumps by an hour",
        (
            f"{SWEEPERS}::test_f24_a_clock_that_is_an_hour_ahead_ends_no_lease_and_still_finds_lost_work",
            f"{SWEEPERS}::test_f24_jobs_are_dated_by_the_database_whatever_the_clock_of_the_web_server_says",
        ),
        "a real sweeper under libfaketime, where that is installed",
    ),
    "F25": Row(
        "migration waits for a busy table",
        (
            "tests/site/test_migrate.py::test_f25_who_reads_meanwhile_waits_no_longer_than_the_migration_may",
            "tests/site/test_migrate.py::test_f25_a_table_that_becomes_free_is_changed_at_the_next_try",
            "tests/site/test_migrate.py::test_f25_a_table_that_stays_in_use_ends_the_migration_in_words",
        ),
        "one reader, one long transaction; not a million rows under load",
    ),
    "F26": Row(
        "two sign at once; a final report is edited",
        (
            "tests/diagnosis/test_signed_reports.py::test_f26_of_many_who_sign_one_does",
            "tests/diagnosis/test_signed_reports.py::test_f26_a_signed_report_is_edited_by_nobody",
            "tests/diagnosis/test_signed_reports.py::test_f26_a_final_report_cannot_be_changed_past_the_application",
            "tests/diagnosis/test_signed_reports.py::test_f26_nor_can_the_decisions_in_it",
        ),
    ),
    "F27": Row(
        "audit cannot be written",
        ("tests/access/test_matrix.py::test_F27_while_the_audit_is_down_nobody_is_shown_a_patient",),
        "every address that records",
    ),
    "F28": Row(
        "restore from the backup",
        ("tests/diagnosis/test_restore_drill.py::test_restore_drill",),
        "a small populated instance; the time of 100,000 studies is not measured",
    ),
    "F29": Row(
        "everything, in any order",
        (STORM, "tests/faults/test_faults.py::test_the_count_is_zero_under_every_seed"),
        "three seeds of a minute; longer with `make faults`",
    ),
}


def markdown() -> str:
    lines = ["| Id | Fault | Tests | How far |", "|---|---|---|---|"]
    for key, row in ROWS.items():
        tests = "<br>".join(f"`{test.rpartition('::')[2]}`" for test in row.tests)
        lines.append(f"| {key} | {row.fault} | {tests} | {row.scale} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
