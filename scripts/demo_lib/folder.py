"""The folder a demo lives in: Home Assistant's configuration and the simulated world."""

from dataclasses import asdict, dataclass
import json
from pathlib import Path
import shutil

from .errors import DemoError
from .options import Options

LOOPBACK = "127.0.0.1"

TIME_ZONE = "Europe/Amsterdam"

BLUEPRINTS = Path("blueprints", "automation", "salto_ks")
"""Where the blueprints are, in the project as in the configuration of a Home Assistant."""

CONFIGURATION = f"""\
homeassistant:
  name: Demo campsite
  latitude: 52.37
  longitude: 4.9
  elevation: 0
  unit_system: metric
  time_zone: {TIME_ZONE}
  country: NL
  language: en
  currency: EUR
config:
frontend:
history:
logbook:
person:
recorder:
  exclude:
    event_types:
      - call_service # its data can hold a PIN
system_health:
calendar:
file_upload:
persistent_notification:
notify:
  - platform: group
    name: notify # what reaches everybody; here it is read in the frontend
    services:
      - action: persistent_notification
webhook:
automation: !include automations.yaml
script: {{}}
input_button:
  pitch_12_is_booked:
    name: Pitch 12 is booked
    icon: mdi:tent
logger:
  default: info
"""
"""A lean selection of integrations: none of these needs the internet or hardware."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a kept demo has to find unchanged the next time."""

    port: int
    sim_port: int
    seed: str


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """One demo's folder."""

    path: Path

    @property
    def world(self) -> Path:
        """The file that the simulator keeps its world in."""
        return self.path / "simulator.json"

    @property
    def hass_log(self) -> Path:
        """The file that holds what Home Assistant says."""
        return self.path / "hass.log"

    @property
    def simulator_log(self) -> Path:
        """The file that holds what the simulator says."""
        return self.path / "simulator.log"

    @property
    def settings_file(self) -> Path:
        """The file by which a folder is known to be a demo's."""
        return self.path / "demo.json"

    def settle(self, options: Options) -> Settings:
        """Return the settings to run with: the options', else the folder's, else the usual ones.

        Raises DemoError for a folder that is not a demo's, and for a change that the integration
        in it would not survive.
        """
        before = self._read()
        if before is None:
            if self.path.exists() and any(self.path.iterdir()):
                raise DemoError(f"{self.path} is not empty and not a demo's: choose another --keep")
            return Settings(
                options.port or 8123, options.sim_port or 8124, options.seed or "campsite"
            )
        for name, kept, asked in (
            ("--sim-port", before.sim_port, options.sim_port),
            ("--seed", before.seed, options.seed),
        ):
            if asked not in (None, kept):
                raise DemoError(
                    f"{self.path} was made with {name} {kept}: use that, or another --keep"
                )
        return Settings(options.port or before.port, before.sim_port, before.seed)

    def _read(self) -> Settings | None:
        if not self.settings_file.exists():
            return None
        return Settings(**json.loads(self.settings_file.read_text(encoding="utf-8")))

    def lay_out(self, settings: Settings, integration: Path) -> None:
        """Write what Home Assistant reads at its start; what it wrote itself stays."""
        storage = self.path / ".storage"
        components = self.path / "custom_components"
        storage.mkdir(parents=True, exist_ok=True)
        components.mkdir(exist_ok=True)
        link = components / integration.name
        link.unlink(missing_ok=True)
        link.symlink_to(integration, target_is_directory=True)
        (self.path / "configuration.yaml").write_text(CONFIGURATION, encoding="utf-8")
        automations = self.path / "automations.yaml"
        if not automations.exists():
            automations.write_text("[]\n", encoding="utf-8")
        _write(storage / "http", _http(settings.port))
        if not (storage / "onboarding").exists():
            _write(storage / "onboarding", _onboarding())
        _write(self.settings_file, asdict(settings))

    def offer_blueprints(self, project: Path) -> None:
        """Copy the project's blueprints to where Home Assistant finds them; it follows no links."""
        shutil.copytree(project / BLUEPRINTS, self.path / BLUEPRINTS, dirs_exist_ok=True)

    def save_logs(self, target: Path) -> bool:
        """Copy the logs to where they outlive the folder; return whether there were any."""
        logs = [log for log in (self.hass_log, self.simulator_log) if log.exists()]
        for log in logs:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, target)
        return bool(logs)


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _http(port: int) -> dict[str, object]:
    """Return the confirmed web server settings.

    In configuration.yaml the same settings would be on trial: Home Assistant restarts after some
    minutes when nobody confirms them.
    """
    return {
        "version": 2,
        "minor_version": 2,
        "key": "http",
        "data": {
            "stable": {
                "server_host": [LOOPBACK],
                "server_port": port,
                "cors_allowed_origins": [],
                "login_attempts_threshold": -1,
                "ip_ban_enabled": True,
                "ssl_profile": "modern",
                "use_x_frame_options": True,
                "created_at": "2026-01-01T00:00:00+00:00",
                "error": None,
                "error_message": None,
            },
            "pending": None,
            "yaml_migration_done": True,
        },
    }


def _onboarding() -> dict[str, object]:
    """Return an onboarding with only the user left to make.

    The other steps would set up integrations that want the internet.
    """
    return {
        "version": 4,
        "minor_version": 1,
        "key": "onboarding",
        "data": {"done": ["core_config", "analytics", "integration"]},
    }
