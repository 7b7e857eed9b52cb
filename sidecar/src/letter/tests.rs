use super::*;

const URL: &str = "https://receipts.bank.example/r/AbCdEfGhIjKlMnOpQrStUvWxYz0";

fn letter(language: &'static Language) -> Letter {
    let decision: ledgerstone::entry::DecisionId = "01a1ee56-5e1c-7c41-9c55-0f1e2d3c4b5a".parse().unwrap();
    let expires = UnixMillis::new(1_795_000_000_000);
    Letter { reference: Reference::of(decision), url: URL.to_owned(), expires, language }
}

/// What an independent decoder reads in a picture of `side` pixels a side.
fn decoded(side: usize, dark: impl Fn(usize, usize) -> bool) -> String {
    let grey = |x, y| if dark(x, y) { 0 } else { 255 };
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
    let codes = picture.detect_grids();
    assert_eq!(codes.len(), 1);
    codes[0].decode().unwrap().1
}

#[test]
fn an_independent_decoder_reads_the_address_in_the_png() {
    let file = letter(&LANGUAGES[0]).png().unwrap();
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.bit_depth, info.color_type), (::png::BitDepth::One, ::png::ColorType::Grayscale));
    let side = info.width as usize;
    assert!(side == info.height as usize && side > 200, "{side}");
    let dark = |x: usize, y: usize| pixels[y * info.line_size + x / 8] >> (7 - x % 8) & 1 == 0;
    assert_eq!(decoded(side, dark), URL);
}

#[test]
fn an_independent_decoder_reads_the_address_in_the_svg() {
    let svg = letter(&LANGUAGES[0]).svg().unwrap();
    let [_, side, ..] = svg.split("viewBox=\"0 0 ").collect::<Vec<_>>()[..] else { panic!("{svg}") };
    let side: usize = side.split(' ').next().unwrap().parse().unwrap();
    let path = svg.split("fill=\"#000\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    let places: std::collections::HashSet<(usize, usize)> = path
        .split('M')
        .skip(1)
        .map(|part| part.strip_suffix("h1v1h-1z").unwrap().split_once(' ').unwrap())
        .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
        .collect();
    assert_eq!(decoded(side * 5, |x, y| places.contains(&(x / 5, y / 5))), URL);
}

#[test]
fn a_letter_says_the_same_in_four_languages_and_nothing_of_the_decision() {
    for language in &LANGUAGES {
        let (text, html) = (letter(language).text(), letter(language).html().unwrap());
        for said in [&text, &html] {
            assert!(said.contains(URL) && said.contains("2026-11-18"), "{said}");
            assert!(said.contains(&letter(language).reference.to_string()), "{said}");
        }
        assert!(html.contains(&format!("lang=\"{}\"", language.tag)) && html.contains("<svg"), "{html}");
        assert!(!html.contains("src=") && !html.contains("href="), "{html}");
    }
}

#[test]
fn an_address_that_fits_no_code_is_refused_and_one_with_marks_stays_text() {
    let long = Letter { url: "x".repeat(3_000), ..letter(&LANGUAGES[0]) };
    assert!(matches!(long.svg(), Err(QrError::TooLong)));
    let marked = Letter { url: "https://a/?<b>&\"".to_owned(), ..letter(&LANGUAGES[0]) };
    assert!(marked.html().unwrap().contains("https://a/?&lt;b&gt;&amp;&quot;"));
}
