"""The connectome that ships: untouched, as measured, with notice; the synthetic one; surface and table."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import numpy as np
import pytest

from euthymia.errors import UnknownNameError
from euthymia.mechanism.network.gaussian import Change
from euthymia.model.connectivity import (
    QUICK_COUNTS,
    RANGES,
    TABLE_PATH,
    change_names,
    changes_from_health,
    fit_table,
    levels,
    network_at,
    scenarios,
    table_at,
)
from euthymia.model.connectome import (
    block_means,
    load_connectome,
    network_names,
    observables,
    read_off,
    surface,
)
from euthymia.model.variables import variables
from euthymia.tables import list_files, read_array, read_text

FOLDER = "connectome"
PAIRS = np.tril_indices(100, -1)


def test_every_file_is_the_one_that_the_notice_lists():
    lines = re.findall(r"^([0-9a-f]{64})  (\S+)$", read_text(f"{FOLDER}/NOTICE.md"), re.MULTILINE)
    listed = {name: digest for digest, name in lines}
    shipped = [path.rsplit("/", 1)[1] for path in list_files(FOLDER, "") if not path.endswith(".md")]
    assert len(shipped) >= 11
    for name in shipped:
        content = resources.files("euthymia").joinpath("data", FOLDER, name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == listed[name], name


def test_the_notice_holds_the_terms_and_no_file_names_a_participant():
    notice = read_text(f"{FOLDER}/NOTICE.md")
    for text in (
        "1U54MH091657",
        "same terms (share-alike)",
        "identity of",
        "cubnm 0.1.0",
        "BrainSpace 0.3.0",
    ):
        assert text in notice
    for path in list_files(FOLDER, ".json") + list_files(FOLDER, ".csv"):
        assert not re.search(r"\b1\d{5}\b", read_text(path)), path


def test_facts_of_the_arrays():
    people = load_connectome()
    strength, length = people.strength, people.length_mm
    assert strength is not None
    assert length is not None
    for matrix in (people.correlation, strength, length):
        assert matrix.shape == (100, 100)
        np.testing.assert_array_equal(matrix, matrix.T)
    assert not np.diagonal(strength).any()
    counts = [people.networks.count(name) for name in network_names()]
    assert counts == [17, 14, 15, 12, 5, 13, 24]
    values = np.linalg.eigvalsh(people.correlation)
    assert values[0] == pytest.approx(0.071, abs=5e-4)
    assert values[-1] / values[0] == pytest.approx(434, abs=1)
    assert people.correlation.min() == pytest.approx(-0.082, abs=5e-4)
    assert np.corrcoef(people.correlation[PAIRS], strength[PAIRS])[0, 1] == pytest.approx(0.26, abs=5e-3)
    assert (strength[PAIRS] > 0).mean() == pytest.approx(0.93, abs=5e-3)
    heaviest = np.sort(strength[PAIRS])[::-1]
    assert heaviest[: len(heaviest) // 20].sum() / heaviest.sum() == pytest.approx(0.70, abs=0.01)
    assert length.max() == pytest.approx(235, abs=0.5)


def test_mean_correlations_by_network():
    people = load_connectome()
    means = block_means(people.correlation, people.networks)
    np.testing.assert_allclose(means[6], [0.212, 0.217, 0.169, 0.150, 0.235, 0.242, 0.380], atol=5e-4)
    expected = [0.527, 0.561, 0.528, 0.491, 0.186, 0.432, 0.380]
    np.testing.assert_allclose(np.diagonal(means), expected, atol=5e-4)
    found = read_off(people.correlation, people)
    assert found["within_default_connectivity"] == pytest.approx(means[6, 6], abs=1e-12)
    assert found["global_connectivity"] == pytest.approx(people.correlation[PAIRS].mean(), abs=1e-12)
    assert found["global_connectivity"] == pytest.approx(0.287, abs=5e-4)


@pytest.mark.parametrize(
    ("change", "within", "all_pairs"),
    [
        (-0.4, 0.157, 0.215),
        (-0.2, 0.278, 0.252),
        (0.1, 0.421, 0.302),
        (0.2, 0.457, 0.315),
        (0.4, 0.514, 0.336),
    ],
)
def test_scaled_couplings_give_what_an_independent_script_gave(
    change: float, within: float, all_pairs: float
):
    people = load_connectome()
    found = read_off(network_at(Change(change), people), people)
    assert found["within_default_connectivity"] == pytest.approx(within, abs=5e-4)
    assert found["global_connectivity"] == pytest.approx(all_pairs, abs=5e-4)


def test_parcels_lie_where_their_names_say():
    people = load_connectome()
    places = people.places_mm
    assert places is not None
    left = np.array([label.startswith("LH") for label in people.labels])
    assert (places[left, 0] < 2).all()
    assert (places[~left, 0] > -2).all()
    front, back = people.regions["medial_prefrontal"], people.regions["posterior_cingulate"]
    assert (places[front, 1] > 30).all()
    assert (places[back, 1] < -40).all()
    assert (np.abs(places[back, 0]) < 16).all()
    assert (places[people.regions["subgenual"], 2] < -10).all()
    assert (np.abs(places[people.regions["insula"], 0]) > 30).all()
    assert (places[people.of_network("Vis"), 1] < -25).all()


def test_the_synthetic_connectome_holds_the_means_alone():
    people, made = load_connectome(), load_connectome("synthetic")
    assert made.strength is None
    means = block_means(made.correlation, made.networks)
    np.testing.assert_allclose(means, block_means(people.correlation, people.networks), atol=6e-4)
    default = np.flatnonzero(made.of_network("Default"))
    assert np.unique(made.correlation[np.ix_(default, default)]).tolist() == [0.38, 1.0]
    assert np.linalg.eigvalsh(made.correlation)[0] > 0.4


def test_an_unknown_connectome_is_named_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"Unknown connectome 'schafer-100'. Did you mean 'schaefer-100'"
    ):
        load_connectome("schafer-100")


# --- the surface ------------------------------------------------------------------------------------


def test_the_surface_is_closed_small_and_faces_outwards():
    held = surface()
    assert len(read_text(f"{FOLDER}/surface.json")) < 600_000
    for side, sign in (("left", -1), ("right", 1)):
        points, triangles = held.points_mm[side], held.triangles[side]
        edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        _, times = np.unique(edges, axis=0, return_counts=True)
        assert set(times) == {2}
        assert len(points) - len(times) + len(triangles) == 2
        assert sign * points[:, 0].mean() > 20
        corners = points[triangles]
        volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
        assert 2e5 < volume < 8e5  # mm3, positive where triangles face outwards


def test_every_parcel_is_on_the_surface_near_its_place():
    held, people = surface(), load_connectome()
    assert people.places_mm is not None
    for side, numbers in (("left", range(1, 51)), ("right", range(51, 101))):
        assert set(held.parcels[side].tolist()) == {0, *numbers}
        for number in numbers:
            own = held.points_mm[side][held.parcels[side] == number]
            assert np.linalg.norm(own.mean(axis=0) - people.places_mm[number - 1]) < 12


# --- what is read off -------------------------------------------------------------------------------


def test_the_table_is_the_network_solved():
    random = np.random.default_rng(7)
    knobs = random.uniform(-1, 1, (3, 12)) * np.array(RANGES)[:, None]
    people = load_connectome()
    exact = read_off(network_at(Change(*knobs), people), people)
    tabled = levels(Change(*knobs))
    for name, values in exact.items():
        np.testing.assert_allclose(tabled[name], values, rtol=0, atol=2e-7, err_msg=name)


def test_a_table_of_ones_own_connectome_is_close_as_well():
    made = load_connectome("synthetic")
    table = fit_table(made, (*QUICK_COUNTS[:2], 1))
    knobs = np.array([[0.31, -0.22], [-0.07, 0.09], [0.0, 0.0]])
    exact = read_off(network_at(Change(*knobs), made), made)
    np.testing.assert_allclose(table_at(table, knobs), list(exact.values()), rtol=0, atol=2e-5)


def test_in_health_no_variable_is_changed_and_all_are_listed():
    found = changes_from_health(Change())
    assert tuple(found) == change_names()
    assert all(abs(value) < 1e-7 for value in found.values())
    stems = [stem for stem, one in variables().items() if one.layer == "connectivity"]
    assert stems == list(change_names())
    assert read_array(TABLE_PATH).shape[0] == len(observables())


def test_scenarios_say_what_speaks_against_them():
    assert list(scenarios()) == ["hyper", "hypo", "limbic"]
    for one in scenarios().values():
        assert one.speaks_for
        assert one.speaks_against
        assert one.doubt
