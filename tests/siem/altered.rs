//! Events that say more than their leaf, or that name other formats, read back.

use std::collections::BTreeSet;

use ledgerstone::siem::found::{Shape, read};
use ledgerstone::siem::{Alert, Attribute, Event, Fact, Format};

use crate::samples::{alerts, events, log};
use crate::{decision, rendered, shapes};

#[test]
fn an_attribute_that_the_entry_does_not_have_is_a_difference() {
    let names = |event: &Event| -> BTreeSet<String> {
        let name = |attribute: &Attribute| {
            let mut name = String::new();
            attribute.name.write(&mut name);
            name
        };
        event.attributes().iter().map(name).collect()
    };
    let camel = |name: &str| -> String {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        name.split('_').map(word).collect()
    };
    let event = decision();
    let all: BTreeSet<String> = events().iter().flat_map(names).collect();
    let ours = names(&event);
    // A tree makes an event an alert.
    let added =
        all.iter().filter(|name| !ours.contains(*name) && *name != "tree_size" && *name != "root_hash");
    for name in added {
        for (shape, before, after, field) in [
            (
                Shape::Bare(Format::Ocsf),
                "\"unmapped\":{",
                format!("\"{name}\":1,"),
                format!("unmapped.{name}"),
            ),
            (
                Shape::Bare(Format::Ecs),
                "\"ledgerstone\":{",
                format!("\"{name}\":1,"),
                format!("ledgerstone.{name}"),
            ),
            (Shape::Bare(Format::Leef), "\tsev=1\t", format!("{name}=1\t"), name.clone()),
            (
                Shape::Bare(Format::Cef),
                " cat=event",
                format!(" ledgerstone{}=1", camel(name)),
                format!("ledgerstone{}", camel(name)),
            ),
            (Shape::Syslog(None), "[ledgerstone@32473", format!(" {name}=\"1\""), format!("sd.{name}")),
            (
                Shape::Syslog(Some(Format::Ecs)),
                "\"ledgerstone\":{",
                format!("\"{name}\":1,"),
                format!("msg.ledgerstone.{name}"),
            ),
            (
                Shape::Bare(Format::Otlp),
                "\"attributes\":[",
                format!("{{\"key\":\"ledgerstone.{name}\",\"value\":{{\"intValue\":\"1\"}}}},"),
                format!("attributes.ledgerstone.{name}"),
            ),
        ] {
            let text = rendered(shape, &event);
            // The last one: OTLP has attributes of the resource too.
            let at = text.rfind(before).unwrap() + before.len();
            let line = format!("{}{after}{}", &text[..at], &text[at..]);
            assert_eq!(read(&line).unwrap()[0].differences(&event), [field], "{line}");
        }
    }
}

#[test]
fn a_text_that_names_another_format_does_not_make_an_event_unreadable() {
    let alert = alerts().remove(0);
    for detail in ["CEF:0|a", "LEEF:2.0|a", "see [ledgerstone@32473 a=\"b\"] CEF: LEEF: <110>1 {"] {
        let fact = Fact::Tamper { check: None, detail: detail.to_owned() };
        let event = Event::of_alert(&log(), &Alert { fact, ..alert.clone() });
        for (name, shape) in shapes() {
            let text = rendered(shape, &event);
            for line in [text.clone(), format!("<110>1 2026-11-18T11:06:40Z h app - - - {text}")] {
                if line != text && !matches!(shape, Shape::Bare(Format::Cef | Format::Leef)) {
                    continue;
                }
                let found = read(&line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
                assert_eq!(found[0].differences(&event), Vec::<String>::new(), "{name}: {line}");
            }
        }
    }
}
