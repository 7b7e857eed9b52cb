//! Anchoring takes no time of a decision.
//!
//! Two sidecars, each a process of its own, take turns: one without anchors, one with a lane that anchors every second and one
//! whose authority never answers in time. The ratio of their median times is printed and bounded; the machine is the
//! same, at the same time.

use std::time::{Duration, Instant};

use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tonic::transport::Channel;

use crate::support::request;
use crate::world::{Authority, Stopped};

/// How long a turn takes, so that every one of them meets anchors, and how many there are.
const TURN: Duration = Duration::from_millis(2_500);
const TURNS: usize = 5;

/// How much longer the median and the mean may be. Nothing is waited for, so that only the share of the processors and of
/// the disk counts, which is large at one anchor a second on few processors.
const RATIO_MAX: f64 = 1.9;

/// How long each of some decisions takes, one after the other.
async fn turn(model: &mut GrpcInferenceServiceClient<Channel>) -> Vec<Duration> {
    let (mut times, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < TURN {
        let start = Instant::now();
        model.model_infer(request("r", 1.5)).await.unwrap();
        times.push(start.elapsed());
    }
    times
}

fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_takes_as_long_with_anchors_as_without() {
    let (Some(quick), Some(stuck)) = (Authority::start(), Authority::start()) else { return };
    stuck.mode("slow").await;
    let plain = Stopped::new("").await;
    let anchored = Stopped::new(&format!("{}{}", quick.lane("quick"), stuck.lane("stuck"))).await;
    let (mut one, mut other) = (plain.files.start(), anchored.files.start());
    let (mut without, mut with) = (plain.files.client().await, anchored.files.client().await);
    drop((turn(&mut without).await, turn(&mut with).await));
    let before = anchored.count("quick");
    let (mut plain_times, mut anchored_times) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        plain_times.extend(turn(&mut without).await);
        anchored_times.extend(turn(&mut with).await);
    }
    let anchors = anchored.count("quick") - before;
    println!("{anchors} anchors; {} decisions without, {} with", plain_times.len(), anchored_times.len());
    let mut ratio = |share: f64| {
        let (without, with) = (quantile(&mut plain_times, share), quantile(&mut anchored_times, share));
        let ratio = with / without;
        println!(
            "{:.0} %: {without:.2} ms without anchors, {with:.2} ms with, ratio {ratio:.2}",
            share * 100.0
        );
        ratio
    };
    let median = ratio(0.5);
    ratio(0.99);
    let mean = plain_times.len() as f64 / anchored_times.len() as f64;
    println!("mean: ratio {mean:.2}");
    assert!(anchors >= 5, "hardly anything was anchored: {anchors}");
    assert!(stuck.count().await >= 1, "the stuck lane was waiting");
    assert!(
        median.max(mean) < RATIO_MAX,
        "anchoring makes decisions take {median:.2} and {mean:.2} times as long"
    );
    assert!(one.stop().success() && other.stop().success());
}
