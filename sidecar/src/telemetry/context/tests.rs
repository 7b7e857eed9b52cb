use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn read(pairs: &[(&'static str, &str)]) -> Caller {
    Caller::read(&headers(pairs))
}

fn of(caller: &Caller) -> Option<(String, String, Option<bool>)> {
    caller.parent.map(|parent| (parent.trace.to_string(), parent.span.to_string(), caller.sampled))
}

fn whole(sampled: Option<bool>) -> Option<(String, String, Option<bool>)> {
    Some((TRACE.to_owned(), SPAN.to_owned(), sampled))
}

#[test]
fn reads_a_traceparent_and_whether_it_is_recorded() {
    for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("02", false), ("ff", true)] {
        let text = format!("00-{TRACE}-{SPAN}-{flags}");
        assert_eq!(of(&read(&[("traceparent", &text)])), whole(Some(sampled)), "{text}");
    }
    let later = format!("01-{TRACE}-{SPAN}-01-what-comes-then");
    assert_eq!(of(&read(&[("traceparent", &later)])), whole(Some(true)));
}

#[test]
fn a_traceparent_that_makes_no_sense_counts_as_absent() {
    let zeros = |digits: usize| "0".repeat(digits);
    let upper = TRACE.to_uppercase();
    let texts = [
        String::new(),
        "-".to_owned(),
        TRACE.to_owned(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-001"),
        format!("00-{TRACE}-{SPAN}-0g"),
        format!("00-{TRACE}-{SPAN}-+1"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-x"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00-{upper}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", zeros(32)),
        format!("00-{TRACE}-{}-01", zeros(16)),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{SPAN}-{SPAN}-01"),
        format!(" 00-{TRACE}-{SPAN}-01 x"),
        format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
        "0".repeat(100_000),
    ];
    for text in texts {
        assert_eq!(read(&[("traceparent", &text)]), Caller::default(), "{text:.80}");
    }
    let one = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(read(&[("traceparent", &one), ("traceparent", &one)]), Caller::default());
    let mut strange = HeaderMap::new();
    strange.insert(TRACEPARENT, HeaderValue::from_bytes(&[0xff; 55]).unwrap());
    assert_eq!(Caller::read(&strange), Caller::default());
}

#[test]
fn reads_b3_in_one_header_and_in_several() {
    let singles = [
        (format!("{TRACE}-{SPAN}"), None),
        (format!("{TRACE}-{SPAN}-0"), Some(false)),
        (format!("{TRACE}-{SPAN}-1"), Some(true)),
        (format!("{TRACE}-{SPAN}-d"), Some(true)),
        (format!("{TRACE}-{SPAN}-1-{SPAN}"), Some(true)),
    ];
    for (text, sampled) in singles {
        assert_eq!(of(&read(&[("b3", &text)])), whole(sampled), "{text}");
    }
    for (sampled, is) in [("0", false), ("1", true), ("true", true), ("false", false)] {
        let several = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", sampled)];
        assert_eq!(of(&read(&several)), whole(Some(is)), "{sampled}");
    }
    assert_eq!(of(&read(&[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)])), whole(None));
    let debug = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-flags", "1"), ("x-b3-sampled", "0")];
    assert_eq!(of(&read(&debug)), whole(Some(true)));
    let short = read(&[("b3", &format!("{SPAN}-{SPAN}-1"))]);
    assert_eq!(short.parent.unwrap().trace.to_string(), format!("{}{SPAN}", "0".repeat(16)));
    for (text, sampled) in [("0", false), ("1", true), ("d", true)] {
        let caller = read(&[("b3", text)]);
        assert_eq!((caller.parent, caller.sampled), (None, Some(sampled)));
    }
    assert_eq!(read(&[("x-b3-sampled", "0")]).sampled, Some(false));
}

#[test]
fn b3_that_makes_no_sense_counts_as_absent() {
    let zeros = "0".repeat(32);
    let texts = [
        "".to_owned(),
        "2".to_owned(),
        "-".to_owned(),
        TRACE.to_owned(),
        format!("{TRACE}-"),
        format!("{TRACE}-{SPAN}-"),
        format!("{TRACE}-{SPAN}-2"),
        format!("{TRACE}-{SPAN}-1-"),
        format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
        format!("{TRACE}-{SPAN}-1-{TRACE}"),
        format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        format!("{zeros}-{SPAN}-1"),
        format!("{TRACE}-{}-1", &zeros[..16]),
        format!("{}-{SPAN}-1", &TRACE[..20]),
    ];
    for text in &texts {
        assert_eq!(read(&[("b3", text)]), Caller::default(), "{text}");
    }
    let several: [&[(&'static str, &str)]; 7] = [
        &[("x-b3-traceid", TRACE)],
        &[("x-b3-spanid", SPAN)],
        &[("x-b3-traceid", TRACE), ("x-b3-spanid", "1")],
        &[("x-b3-traceid", "x"), ("x-b3-spanid", SPAN)],
        &[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "d")],
        &[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "yes")],
        &[("x-b3-traceid", TRACE), ("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)],
    ];
    for pairs in several {
        assert_eq!(read(pairs), Caller::default(), "{pairs:?}");
    }
}

/// What the model server would read of what is written for it.
fn written(pairs: &[(&'static str, &str)]) -> (HeaderMap, SpanContext) {
    let mut headers = headers(pairs);
    let caller = Caller::read(&headers);
    let trace = caller.parent.map_or(TraceId::from_bytes([7; 16]), |parent| parent.trace);
    let ours =
        SpanContext::new(trace, SpanId::from_bytes([9; 8]), TraceFlags::SAMPLED, false, TraceState::NONE);
    caller.write(&mut headers, &ours, SpanId::from_bytes([8; 8]));
    (headers, ours)
}

#[test]
fn writes_every_format_that_the_caller_used_and_no_other() {
    let (parent, single) = (format!("00-{TRACE}-{SPAN}-01"), format!("{TRACE}-{SPAN}-1"));
    type Case<'a> = (&'a [(&'static str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 5] = [
        (&[("traceparent", &parent)], &["traceparent"]),
        (&[("b3", &single)], &["b3"]),
        (
            &[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)],
            &["x-b3-parentspanid", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"],
        ),
        (&[("traceparent", &parent), ("b3", &single)], &["b3", "traceparent"]),
        (&[], &["traceparent"]),
    ];
    for (pairs, wanted) in cases {
        let (headers, ours) = written(pairs);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, wanted);
        let reader = Caller::read(&headers);
        let parent = reader.parent.unwrap();
        assert_eq!(
            (parent.trace, parent.span, reader.sampled),
            (ours.trace_id(), ours.span_id(), Some(true))
        );
    }
    let (headers, _) = written(&[("b3", &single)]);
    assert_eq!(headers["b3"], format!("{TRACE}-0909090909090909-1-0808080808080808").as_str());
}

#[test]
fn a_trace_that_begins_here_has_a_random_id_and_says_so() {
    let flags = |pairs: &[(&'static str, &str)]| {
        let (headers, _) = written(pairs);
        let text = headers["traceparent"].to_str().unwrap().to_owned();
        text.rsplit_once('-').unwrap().1.to_owned()
    };
    assert_eq!(flags(&[]), "03");
    assert_eq!(flags(&[("traceparent", "00-x")]), "03");
    // Whether another's id is random, only the other knows.
    assert_eq!(flags(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]), "01");
}

#[test]
fn tracestate_and_baggage_pass_as_they_came_while_their_traceparent_holds() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let beside = [("tracestate", "a=1"), ("tracestate", "b=2"), ("baggage", "user=jane")];
    let (headers, _) = written(&[&[("traceparent", parent.as_str())][..], &beside].concat());
    assert_eq!(headers.get_all("tracestate").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(headers["baggage"], "user=jane");
    let (headers, _) = written(&[&[("traceparent", "00-x")][..], &beside].concat());
    assert!(!headers.contains_key("tracestate"));
    assert_eq!(headers["baggage"], "user=jane");
}
