//! Where texts stand beside the bars.

use super::*;

/// Values of an attribute of all tags that begin so.
fn numbers(svg: &str, tag: &str, attribute: &str) -> Vec<f64> {
    let tags = svg.split(tag).skip(1).map(|rest| &rest[..rest.find('>').expect("its end")]);
    let value = |tag: &str| {
        let text = tag.split_once(&format!(" {attribute}=\""))?.1.split_once('"')?.0;
        text.parse().ok()
    };
    tags.map(|tag| value(tag).expect("a number")).collect()
}

/// Of two parts of a bar the one that is told first was longer: with short polling, fewer
/// messages in flight can be more a second. The figures were written behind the part that came
/// first in the list, over the other one, which hid it.
#[test]
fn figures_stand_behind_the_longest_part_and_no_part_is_hidden() {
    for ends in [vec![(10.0, 1), (80.0, 0)], vec![(80.0, 0), (10.0, 1)]] {
        let bar = Bar { label: "name".to_owned(), heading: false, ends, note: "80".to_owned() };
        for log in [true, false] {
            let svg = draw(std::slice::from_ref(&bar), LINE, log);
            let (left, long) = (numbers(&svg, "<rect", "x"), numbers(&svg, "<rect", "width"));
            assert!(long[0] > long[1], "the shorter part is drawn last: {long:?}");
            let texts = numbers(&svg, "<text", "x");
            let figures = texts.last().expect("the figures come last");
            assert!(*figures > left[0] + long[0], "{texts:?}");
        }
    }
}

/// Two targets make names of "technique · target": they began left of the picture, and a long
/// reason or figure ended right of it.
#[test]
fn texts_have_room_beside_the_bars_or_are_cut() {
    let names = ["short polling 100 ms · sockjs-node", &"a name without an end ".repeat(9)];
    for name in names {
        let bar = |ends: Vec<(f64, usize)>, note: &str| Bar {
            label: name.to_owned(),
            heading: false,
            ends,
            note: note.to_owned(),
        };
        let long = "1,234,567 / 12,345,678 / 123,456,789";
        let bars = [bar(vec![(9.0, 0)], long), bar(Vec::new(), &"reason ".repeat(90))];
        let svg = draw(&bars, LINE, true);
        for text in svg.split("<text").skip(1) {
            let (tag, rest) = text.split_once('>').expect("its end");
            let written = rest.split('<').next().expect("its text").trim();
            let at = numbers(&format!("<text{tag}>"), "<text", "x")[0];
            let (from, to) = match tag.contains("text-anchor=\"end\"") {
                true => (at - width(written), at),
                false => (at, at + width(written)),
            };
            let axis = tag.contains("middle");
            assert!(axis || (from >= 0.0 && to <= f64::from(WIDTH)), "{written}");
        }
        assert!(svg.contains(long) && svg.contains("reason…") | svg.contains("…"));
    }
    assert_eq!(fitted("short polling", 900), "short polling");
    assert_eq!(fitted("short polling", 50), "short …");
}
