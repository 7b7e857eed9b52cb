use super::super::tests::kept;
use super::*;

#[test]
fn scores_without_their_transform_are_the_margins() {
    let mut changed = 0;
    for (name, bytes) in kept() {
        let model = Model::parse(&bytes).unwrap();
        let Some(scoring) = model.graph.scoring() else { continue };
        let scores = rewrite::scores_only(&bytes, scoring).unwrap().unwrap();
        let scores = Model::parse(&scores).unwrap();
        for step in 0..5_u8 {
            let row: Vec<f64> =
                (0..model.feature_count()).map(|place| (place as f64) * f64::from(step) - 3.0).collect();
            let (of_all, of_scores) = (model.numbers(&row).unwrap(), scores.numbers(&row).unwrap());
            assert_eq!(of_scores.answer, of_all.margins, "{name}");
            assert!(of_scores.labels.is_empty(), "{name}");
            changed += usize::from(of_all.answer != of_all.margins);
        }
    }
    assert!(changed > 20, "transforms change few of these: {changed}");
}

#[test]
fn a_graph_without_maps_gives_the_same() {
    let mut maps = 0;
    for (name, bytes) in kept() {
        let plain = rewrite::without_maps(&bytes).unwrap();
        maps += usize::from(plain != bytes);
        let (one, other) = (Model::parse(&bytes).unwrap(), Model::parse(&plain).unwrap());
        let row: Vec<f64> = (0..one.feature_count()).map(|place| place as f64 - 3.0).collect();
        // As text, because an answer may be no number.
        let [one, other] = [one, other].map(|model| format!("{:?}", model.numbers(&row).unwrap()));
        assert_eq!(one, other, "{name}");
    }
    assert_eq!(maps, 1, "the file of LightGBM has a ZipMap, the others none");
}

#[test]
fn a_file_that_is_no_onnxruntime_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("libonnxruntime.so");
    let error = Library::load(&missing).unwrap_err();
    assert!(matches!(error, RuntimeError::Unreadable { .. }), "{error}");
    std::fs::write(&missing, "no library").unwrap();
    let error = Library::load(&missing).unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Library { problem, .. } if !problem.contains("libonnx")),
        "{error}"
    );
    assert!(error.advice().contains("onnxruntime/capi"));
}
