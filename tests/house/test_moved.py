"""Import paths of before there were packages still work, name by name, and say where the name is now."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings

import pytest

import velocell
from velocell._moved import MOVED

# The public names that each module had.
NAMES = {
    "architectures": "VETO SURROUND parallel_channels with_inhibition with_smoothing with_selection selective_layer",
    "calibrate": (
        "RING_WIDTH_PX MAX_DT_US CROSSING_SHARE Recipe bank_radii bank_recipe passage_density psi "
        "choose_dt_us calibrate answer_width"
    ),
    "colors": "Color BACKGROUND TEXT OUTSIDE EVENT ON OFF band_color mix hex_color",
    "counting": "MARGIN_PX DIRECTIONS Line Crossing crossings count",
    "detect": "as_networks Detector",
    "display": "number_text with_error",
    "evaluate": "SETTLE_US STEP_US START_TRAVEL_PX PURITY_FROM_US Scores evaluate band_of",
    "exports": "SUFFIXES Frames frames_of write_mot write_coco",
    "figures": (
        "COLUMN_IN PAGE_IN LABEL_PT SMALL_PT INK PALE save_figure grid dress title legend band_hex "
        "channel_hex clock_origin_us time_label over_bands label_edges"
    ),
    "files": "ARCHIVE_DAMAGE replacing",
    "fitting": "Fitted fit",
    "formats.aedat2": "NAME Interpret Pixels matches open_file",
    "formats.aedat31": "NAME matches open_file",
    "formats.aedat4": (
        "NAME MAX_HEADER_BYTES COMPRESSIONS matches camera_name Stream open_file event_streams held "
        "packet_events as_events described"
    ),
    "formats.aedat4_write": "Compression write_aedat4",
    "formats.dat": "NAME matches open_file version_of size_of",
    "formats.hdf5_write": "write_hdf5",
    "formats.npy": "NAME matches open_file",
    "formats.npz": "NAME matches open_file write_npz",
    "formats.prophesee_write": "write_evt2 write_evt3 write_dat",
    "formats.rosbag": "NAME matches open_file",
    "formats.torch_tensor": "NAME matches open_file read",
    "frames": "Frames as_array events_to_frames superimpose magnify",
    "geometry": "COLUMNS_MM Plane with_real_units",
    "hygiene": (
        "NEVER_US background_activity_filter refractory_filter pixel_history hot_pixels mask_pixels "
        "pixel_counts PixelCounts hot_among camera_motion is_moving_camera"
    ),
    "integrity": "FACTS FAULTS Integrity",
    "kernels": "anchor centre_offset circular_kernel disk_kernel centre_surround_kernel template_kernel",
    "labels": (
        "STRETCH_PX Path Stretches prepared stretches Surroundings surroundings measured_radius "
        "crossing_shares told_bands"
    ),
    "lens": "Camera undistort",
    "neurons": "LIFBox",
    "objects": "Found rows_by_object objects",
    "overlay": "overlay_length render_tracks check_fps automatic_scale",
    "painting": "Painter",
    "passages": "PASSES STRETCH_PX STRETCHES LEAD_PX TRAVEL_PX Lanes Passage potentials_at passed_events integrate",
    "plots": (
        "save_figure plot_kernel plot_responses plot_xt plot_raster plot_tuning plot_tuning_layers "
        "plot_overview plot_speeds plot_confusion plot_membrane"
    ),
    "plots_network": "composed_field edge_field plot_receptive_fields plot_traces",
    "provenance": "version of_detection of_networks of_recording of_network",
    "receptive": "Neuron Traces membrane_traces",
    "recording": "Polarity MAX_SENSOR_PX Recording time_surface",
    "regions": "Region crop_to read_pixels",
    "report": "MOST_OBJECTS write_report",
    "reshape": "Axes cut_out flip downsample",
    "shapes": "ANGLES Template",
    "spikes": "Spikes",
    "summary": "RATE_BIN_US GAP_US MOST_RATES Summary summarise",
    "tracks": "COLUMNS REQUIRED Tracks require_parquet",
    "tuning": "SUFFIXES Tuning tuning predicted_peaks predicted_shares realised_edges",
    "units": "parse_time_us format_time parse_numbers parse_size parse_region",
    "video": (
        "CLIP_S CLIP_BYTES write_video write_overlay Animation Clip animate automatic_slow_motion "
        "band_names_of player animate_frames"
    ),
}
PAIRS = [(old, name) for old, names in NAMES.items() for name in names.split()]


def test_every_moved_module_is_listed():
    assert set(NAMES) == set(MOVED)


@pytest.mark.parametrize(("old", "name"), PAIRS)
def test_the_old_path_gives_the_thing_itself_with_a_warning(old, name):
    with pytest.warns(DeprecationWarning, match=rf"velocell\.{old} has moved; import '{name}' from velocell\.") as told:
        item = getattr(importlib.import_module(f"velocell.{old}"), name)
    new = str(told[0].message).rpartition(" from ")[2]
    assert new.removeprefix("velocell.") in MOVED[old]
    assert getattr(importlib.import_module(new), name) is item


def test_the_warning_points_at_the_line_that_imports():
    script = "import warnings\nwarnings.simplefilter('always')\n\nfrom velocell.calibrate import psi\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("<string>:4: DeprecationWarning: velocell.calibrate has moved")


def test_functions_are_not_hidden_by_the_modules_of_their_names():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = (
            "import velocell\n"
            "from velocell.calibrate import psi\nfrom velocell.detect import Detector\n"
            "from velocell.evaluate import Scores\nimport velocell.calibrate, velocell.evaluate, velocell.detect\n"
            "import velocell.simulate.scene\n"
            "print(*(type(getattr(velocell, n)).__name__ for n in ('calibrate', 'detect', 'evaluate', 'simulate')))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == ["function"] * 4


@pytest.mark.filterwarnings("ignore:velocell.plots has moved")
def test_all_ways_of_importing_work():
    import velocell.plots as module
    from velocell import plots

    assert plots.plot_xt is module.plot_xt is velocell.plots.plot_xt is velocell.pictures.figures.plot_xt


def test_paths_that_stayed_give_no_warning():
    from velocell.calibration.measure import network_for  # noqa: F401 (the import is the test)
    from velocell.engines.norse import SpikingNetwork  # noqa: F401 (the import is the test)
    from velocell.network import Bands, Network  # noqa: F401 (the import is the test)
    from velocell.pipeline import detect  # noqa: F401 (the import is the test)
    from velocell.simulate import simulate  # noqa: F401 (the import is the test)


def test_what_never_was_there_is_one_sentence():
    with pytest.raises(AttributeError, match=r"^velocell has no 'nonsense'; velocell.__all__ lists its names$"):
        _ = velocell.nonsense
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'velocell.nonsense'$"):
        importlib.import_module("velocell.nonsense")
    with pytest.raises(ImportError, match=r"cannot import name 'nonsense' from 'velocell\.plots'"):
        from velocell.plots import nonsense  # noqa: F401 (the import is the test)
    with pytest.raises(AttributeError, match=r"moved to velocell\.pictures\.figures, where there is no 'nonsense'"):
        _ = importlib.import_module("velocell.plots").nonsense


def test_stand_ins_do_not_warn_where_nobody_asks_for_a_name():
    for module in list(sys.modules.values()):
        for name in ("__file__", "__path__", "__warningregistry__", "_repr_html_"):
            hasattr(module, name)
