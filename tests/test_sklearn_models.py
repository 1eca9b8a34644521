"""Estimators and pipelines through the emitted JS against scikit-learn on its own data sets."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import RFE
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

import transpile
from transpile.errors import SourceError, UnsupportedError
from transpile.frontends.sklearn import SklearnModel

IRIS = datasets.load_iris()
WINE = datasets.load_wine()
CANCER = datasets.load_breast_cancer()
DIABETES = datasets.load_diabetes()

CLASSIFIERS = [
    (LogisticRegression(max_iter=500), WINE), (RandomForestClassifier(20, random_state=0), WINE),
    (GradientBoostingClassifier(n_estimators=10, random_state=0), IRIS),
    (GradientBoostingClassifier(n_estimators=10, random_state=0), CANCER),
    (HistGradientBoostingClassifier(max_iter=10), WINE), (SVC(probability=True), IRIS),
    (SVC(kernel="poly"), CANCER), (GaussianNB(), IRIS), (LinearDiscriminantAnalysis(), CANCER),
    (MLPClassifier(max_iter=40, random_state=0), IRIS), (SGDClassifier(random_state=0), CANCER),
    (make_pipeline(StandardScaler(), PCA(3), LogisticRegression()), WINE),
    (VotingClassifier([("a", LogisticRegression(max_iter=500)), ("b", GaussianNB())],
                      voting="soft"), IRIS),
    (make_pipeline(SimpleImputer(), MinMaxScaler(), SVC(probability=True)), IRIS)]

REGRESSORS = [
    (Ridge(), 1e-6), (RandomForestRegressor(12, random_state=0), 1e-6), (SVR(), 1e-6),
    (make_pipeline(PolynomialFeatures(), StandardScaler(), Ridge()), 1e-5),
    (KNeighborsRegressor(4, weights="distance"), 1e-4)]


def rows(data: Any) -> np.ndarray:
    x: np.ndarray = np.asarray(data.data, np.float32)
    return x


def run(model: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transpile.compile(model, targets=["js"]).run({"x": x}, "js")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "data"), CLASSIFIERS,
                         ids=lambda v: type(getattr(v, "steps", [("", v)])[-1][1]).__name__)
def test_classifiers_decide_alike(estimator: Any, data: Any) -> None:
    x = rows(data)
    estimator.fit(x, data.target)
    got = run(estimator, x)
    np.testing.assert_array_equal(got["predict"], estimator.predict(x))
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(got["predict_proba"], estimator.predict_proba(x), atol=1e-5)
    else:
        wanted = estimator.decision_function(x)
        np.testing.assert_allclose(got["decision_function"], wanted,
                                   atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(("estimator", "tolerance"), REGRESSORS)
def test_regressors_agree(estimator: Any, tolerance: float) -> None:
    x = rows(DIABETES)
    estimator.fit(x, DIABETES.target)
    wanted = estimator.predict(x)
    np.testing.assert_allclose(run(estimator, x)["predict"], wanted,
                               atol=tolerance * np.abs(wanted).max())


def columns(chosen: Any) -> Any:
    return make_pipeline(ColumnTransformer([("a", StandardScaler(), chosen)],
                                           remainder="passthrough"), LogisticRegression())


def voters(**options: Any) -> Any:
    return VotingClassifier([
        ("a", make_pipeline(StandardScaler(), LogisticRegression())), ("b", "drop"),
        ("c", GaussianNB()), ("d", DecisionTreeClassifier(max_depth=1))], **options)


SEVERAL = np.stack([IRIS.target_names[IRIS.target], np.where(rows(IRIS)[:, 0] > 5.8, "long",
                                                             "short")], axis=1)
CORRECTED: dict[str, tuple[Any, Any, Any]] = {
    "mask": (columns(np.array([True, False, True, False])), IRIS, None),
    "masks in a list": (columns([False, True, False, True]), IRIS, None),
    "from the end": (columns([-1, -2]), IRIS, None),
    "slice from the end": (columns(slice(-2, None)), IRIS, None),
    "function": (columns(lambda x: np.asarray(x)[0] > 2), IRIS, None),
    "weights": (voters(voting="soft", weights=[1, 5, 3, 1]), IRIS, None),
    "hard": (voters(weights=[1, 5, 2, 3]), IRIS, None),
    "hard scores": (VotingClassifier([("a", SVC()), ("b", LinearSVC())]), WINE, None),
    "regressors": (VotingRegressor([("a", Ridge()), ("b", SVR())], weights=[1, 3]), DIABETES,
                   None),
    "outputs": (MultiOutputClassifier(GaussianNB()), IRIS, SEVERAL),
    "outputs in a pipeline": (make_pipeline(StandardScaler(), MultiOutputClassifier(LinearSVC())),
                              IRIS, SEVERAL),
    "tree of outputs": (DecisionTreeClassifier(max_depth=2), IRIS, SEVERAL),
    "forest of outputs": (RandomForestClassifier(9, random_state=0), IRIS, SEVERAL),
    "logistic": (SGDClassifier(loss="log_loss", random_state=0), WINE, None),
    "huber": (SGDClassifier(loss="modified_huber", random_state=0), WINE, None),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CORRECTED)
def test_what_the_converter_gets_wrong_is_corrected(case: str) -> None:
    estimator, data, target = CORRECTED[case]
    x = rows(data)
    estimator.fit(x, data.target if target is None else target)
    got, several = run(estimator, x), target is not None
    assert ("predict_proba_0" if several else "predict_proba") in got or (
        not hasattr(estimator, "predict_proba"))
    for name, found in got.items():
        method, _, place = name.rpartition("_") if name[-1].isdigit() else (name, "", "")
        wanted = getattr(estimator, method)(x)
        wanted = wanted[int(place)] if place else wanted
        if several and method == "predict":
            wanted = np.stack([np.unique(t, return_inverse=True)[1] for t in wanted.T], axis=1)
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("estimator", "data"), [
    (DecisionTreeClassifier(random_state=0), WINE), (RandomForestClassifier(9, random_state=0),
                                                     WINE),
    (ExtraTreesRegressor(9, random_state=0), DIABETES),
    (BaggingClassifier(DecisionTreeClassifier(), 4, random_state=0), WINE)])
@pytest.mark.parametrize("seen", [True, False])
def test_trees_send_missing_values_where_scikit_learn_does(estimator: Any, data: Any,
                                                           seen: bool) -> None:
    x = rows(data)
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.15, np.float32(np.nan), x)
    estimator.fit(holes if seen else x, data.target)
    np.testing.assert_allclose(run(estimator, holes)["predict"], estimator.predict(holes),
                               rtol=1e-5)


def test_a_threshold_is_compared_in_float32() -> None:
    x = np.float32([[0.3, np.nextafter(np.float32(0.3), np.float32(1)), 0.1]])
    limit = Binarizer(threshold=0.3).fit(x)
    np.testing.assert_array_equal(run(limit, x)["transform"], limit.transform(x))


def test_clusters_and_their_distances() -> None:
    x = rows(IRIS)
    means = KMeans(3, random_state=0, n_init=2).fit(x)
    got = run(means, x)
    np.testing.assert_array_equal(got["predict"], means.predict(x))
    np.testing.assert_allclose(got["transform"], means.transform(x), atol=1e-4)


def test_quantiles_are_searched_by_gathers_of_gathers() -> None:
    x = rows(IRIS)
    quantiles = QuantileTransformer(n_quantiles=20).fit(x)
    np.testing.assert_allclose(run(quantiles, x)["transform"], quantiles.transform(x), atol=1e-5)


def test_classes_with_names_give_numbers_and_labels() -> None:
    x, names = rows(IRIS), IRIS.target_names[IRIS.target]
    forest = RandomForestClassifier(5, random_state=0).fit(x, names)
    model = SklearnModel(forest)
    model.trace()
    assert model.labels == {"predict_proba": ("setosa", "versicolor", "virginica")}
    np.testing.assert_array_equal(forest.classes_[run(forest, x)["predict"]], forest.predict(x))


@pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()])
def test_columns_with_categories(encoder: Any) -> None:
    """Numbers are scaled; a column of strings enters as the numbers of its categories."""
    rng = np.random.default_rng(0)
    colour = np.array(["blue", "green", "red"])[rng.integers(0, 3, 60)]
    width = rng.normal(size=60).astype(np.float32)
    x = np.empty((60, 2), object)
    x[:, 0], x[:, 1] = width, colour
    chosen = ColumnTransformer([("n", StandardScaler(), [0]), ("c", encoder, [1])])
    pipeline = make_pipeline(chosen, LogisticRegression())
    pipeline.fit(x, (width > 0) ^ (colour == "red"))
    codes = np.searchsorted(["blue", "green", "red"], colour)
    got = run(pipeline, np.stack([width, codes], axis=1).astype(np.float32))
    np.testing.assert_allclose(got["predict_proba"], pipeline.predict_proba(x), atol=1e-5)


@pytest.mark.parametrize(("package", "name"), [
    ("xgboost", "XGBClassifier"), ("lightgbm", "LGBMClassifier")])
def test_other_libraries_trees(package: str, name: str) -> None:
    """Missing values go where the library sends them."""
    library = pytest.importorskip(package)
    x = rows(WINE).copy()
    x[::7, 2] = np.nan
    options = {"verbose": -1} if package == "lightgbm" else {}
    model = getattr(library, name)(n_estimators=8, **options).fit(x, WINE.target)
    got = run(model, x)
    np.testing.assert_array_equal(got["predict"], model.predict(x))
    np.testing.assert_allclose(got["predict_proba"], model.predict_proba(x), atol=1e-5)


def test_verification_runs_scikit_learn(tmp_path: Any) -> None:
    model = LogisticRegression(max_iter=300).fit(rows(IRIS), IRIS.target)
    module = transpile.build(model, tmp_path / "iris.js", targets=["js"])
    assert module is not None
    assert module.report.verified["js"].runs == 3


def test_errors_say_what_to_do() -> None:
    with pytest.raises(SourceError, match="not fitted"):
        transpile.compile(LogisticRegression())
    from sklearn.decomposition import FastICA
    with pytest.raises(UnsupportedError, match="FastICA"):
        transpile.compile(FastICA(2, random_state=0).fit(rows(IRIS)))
    isotonic = CalibratedClassifierCV(GaussianNB(), method="isotonic").fit(IRIS.data, IRIS.target)
    with pytest.raises(UnsupportedError, match="isotonic"):
        transpile.trace(isotonic)


def test_a_last_step_that_selects_columns_and_predicts() -> None:
    chosen = RFE(LogisticRegression(max_iter=500), n_features_to_select=2)
    chosen.fit(rows(IRIS), IRIS.target)
    np.testing.assert_array_equal(run(chosen, rows(IRIS))["transform"],
                                  chosen.transform(rows(IRIS)))


@pytest.mark.parametrize(("estimator", "what"), [
    (OneVsRestClassifier(LinearSVC()), "without probabilities"),
    (HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]), "categories")])
def test_what_the_converter_writes_wrongly_is_refused(estimator: Any, what: str) -> None:
    x = np.floor(rows(IRIS))
    with pytest.raises(UnsupportedError, match=what):
        transpile.trace(estimator.fit(x, IRIS.target))
