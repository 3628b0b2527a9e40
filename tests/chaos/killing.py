"""What is killed, when, and how it comes back."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.postgres import EmbeddedPostgres
from tests.chaos.night import Night, journal, kill

_PAUSE_S = (1.0, 4.0)
_STORE_AWAY_S = (2.0, 6.0)
_KILLS_A_CUT = 50


@dataclass
class Killer:
    """Kills parts of a night by a seeded choice, until `kills` are done or the night is over."""

    night: Night
    rng: random.Random
    done: dict[str, int] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    cuts: int = 0

    def missed(self, kills: int, cut_s: float) -> list[str]:
        """What a night was to go through and did not: it proves nothing about that."""
        done = sum(self.done.values())
        missed = [f"{done} of {kills} kills were made"] if done < kills else []
        return [*missed, "S3 was never cut off"] if cut_s and kills and not self.cuts else missed

    def disturb(self, kills: int, cut_s: float, stop_at: float) -> None:
        ways: list[tuple[str, float, Callable[[], bool]]] = [
            ("worker", 0.55, self._worker),
            ("supervisor", 0.08, self._supervisor),
            ("prefect", 0.12, self._prefect),
            ("postgres", 0.12, self._postgres),
            ("store", 0.13, self._store),
        ]
        order = ["worker", "store", "postgres", "prefect"][:kills]  # each once, quick ones first
        cut_after = self._cuts_after(kills) if cut_s else set[int]()
        by_name = {name: way for name, _, way in ways}
        for number in range(kills):
            if number in cut_after:
                self.night.store.proxy.cut(cut_s)
                self.cuts += 1
                self._note(f"S3 cut off for {cut_s:.0f} s")
            time.sleep(self.rng.uniform(*_PAUSE_S))
            name = order[number] if number < len(order) else self._chosen(ways)
            while not by_name[name]():
                if self.night.has_ended() or time.monotonic() > stop_at:
                    return
                time.sleep(0.3)
            self.done[name] = self.done.get(name, 0) + 1
            self._note(f"{name} killed")
            if self.night.has_ended() or time.monotonic() > stop_at:
                return

    def _cuts_after(self, kills: int) -> set[int]:
        """After how many kills the store is cut off: once, and once more for each 50 kills."""
        spans = range(0, kills, _KILLS_A_CUT)
        return {s + self.rng.randrange(min(_KILLS_A_CUT, kills - s)) for s in spans}

    def _chosen(self, ways: list[tuple[str, float, Callable[[], bool]]]) -> str:
        return self.rng.choices([w[0] for w in ways], [w[1] for w in ways])[0]

    def _note(self, what: str) -> None:
        begun = len(journal(self.night.journal))
        line = f"{time.strftime('%H:%M:%S')} {what}; {begun} renders begun"
        self.log.append(line)
        print(line, flush=True)

    def _worker(self) -> bool:
        alive = self.night.working_processes()
        if alive:
            kill(self.rng.choice(alive).pid)
        return bool(alive)

    def _supervisor(self) -> bool:
        alive = self.night.supervisors()
        if alive:
            kill(self.rng.choice(alive).pid)
            self.night.up()
        return bool(alive)

    def _prefect(self) -> bool:
        server = self.night.recorded().prefect
        if server is None:
            return False
        kill(server.pid)
        self.night.up()
        return True

    def _postgres(self) -> bool:
        home = self.night.adloom.home
        process = EmbeddedPostgres(home / "postgres", home / "logs" / "postgres.log").running()
        if process is None:
            return False
        kill(process.pid)
        time.sleep(self.rng.uniform(0.5, 2.0))
        self.night.up()
        return True

    def _store(self) -> bool:
        self.night.store.kill()
        time.sleep(self.rng.uniform(*_STORE_AWAY_S))
        self.night.store.start_again()
        return True
