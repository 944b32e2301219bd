//! The crop editor: the whole image with the square that the model gets. The square is dragged; wheel, two fingers, keys and
//! buttons zoom.

use std::sync::Arc;

use leptos::{ev, html::Div, prelude::*};

use crate::{
    app::{
        components::common::canvas::painted_canvas, domain::action::UserAction, present::rgba,
        runtime::context::AppContext, state::crop::CropState,
    },
    data::crop::Crop,
    protocol::SourceImage,
};

/// How much closer a turn of the wheel by one pixel looks.
const WHEEL: f64 = 0.002;

/// Pixels of a line, for wheels that count in lines.
const LINE: f64 = 16.0;

/// What fingers or the mouse have taken hold of: where they are, where they were when the last one came or went, and the
/// square then.
#[derive(Clone, Default)]
struct DragGesture {
    now: Vec<(i32, [f64; 2])>,
    then: Vec<[f64; 2]>,
    crop: Option<Crop>,
}

impl DragGesture {
    fn renew(&mut self, crop: Crop) {
        self.then = self.now.iter().map(|(_, at)| *at).collect();
        self.crop = Some(crop);
    }

    /// Where the square belongs now.
    fn crop(&self, size: [u32; 2]) -> Option<Crop> {
        let crop = self.crop?;
        match (&self.then[..], &self.now[..]) {
            ([then], [(_, now)]) => Some(crop.moved_by(size, [now[0] - then[0], now[1] - then[1]])),
            ([a, b, ..], [(_, c), (_, d), ..]) => {
                let apart = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]).max(1.0);
                let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
                Some(crop.zoomed(size, apart(c, d) / apart(a, b), middle))
            }
            _ => None,
        }
    }
}

#[component]
pub fn CropEditor() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let whole = Memo::new(move |_| state.with(|s| s.crop.as_ref().map(|frame| frame.source.clone())));
    move || whole.get().map(|whole| view! { <CropArea whole/> })
}

#[component]
fn CropArea(whole: Arc<SourceImage>) -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let state = ctx.state;
    let area = NodeRef::<Div>::new();
    let grip = StoredValue::new(DragGesture::default());
    let SourceImage { size, preview_size, .. } = *whole;
    let crop = Memo::new(move |_| state.with(|s| s.crop.as_ref().map_or(Crop::centered(size), |frame| frame.crop)));
    let put = move |crop: Crop| ctx.dispatch(UserAction::Crop(crop));
    let key = move |key: &str| state.with_untracked(|s| s.crop.as_ref().and_then(|frame| CropState::key(frame, key)));

    let canvas = painted_canvas(move || Some(rgba::from_rgb(&whole.preview)));

    // Nothing inside the area takes events, so they count from its corner.
    let at = move |e: &web_sys::MouseEvent| {
        let width = area.get_untracked().map_or(1, |area| area.offset_width()).max(1);
        let scale = f64::from(size[0]) / f64::from(width);
        [f64::from(e.offset_x()) * scale, f64::from(e.offset_y()) * scale]
    };
    let down = move |e: ev::PointerEvent| {
        e.prevent_default();
        if let Some(area) = area.get_untracked() {
            let _ = area.focus();
            let _ = area.set_pointer_capture(e.pointer_id());
        }
        let (at, mut crop) = (at(&e), crop.get_untracked());
        let outside = |i: usize, edge: u32| !(f64::from(edge)..f64::from(edge + crop.side)).contains(&at[i]);
        let first = grip.with_value(|grip| grip.now.is_empty());
        if first && (outside(0, crop.x) || outside(1, crop.y)) {
            let center = crop.center();
            crop = crop.moved_by(size, [at[0] - center[0], at[1] - center[1]]);
            put(crop);
        }
        grip.update_value(|grip| {
            grip.now.push((e.pointer_id(), at));
            grip.renew(crop);
        });
    };
    let moved = move |e: ev::PointerEvent| {
        let at = at(&e);
        grip.update_value(|grip| {
            grip.now.iter_mut().filter(|(id, _)| *id == e.pointer_id()).for_each(|(_, now)| *now = at);
        });
        grip.with_value(|grip| grip.crop(size)).filter(|to| *to != crop.get_untracked()).into_iter().for_each(put);
    };
    let up = move |e: ev::PointerEvent| {
        grip.update_value(|grip| {
            grip.now.retain(|(id, _)| *id != e.pointer_id());
            grip.renew(crop.get_untracked());
        });
    };
    let wheel = move |e: ev::WheelEvent| {
        let by = e.delta_y() * if e.delta_mode() == 0 { 1.0 } else { LINE };
        let to = crop.get_untracked().zoomed(size, (-by * WHEEL).exp(), at(&e));
        // At its smallest and its largest the page scrolls on.
        if by != 0.0 && to != crop.get_untracked() {
            e.prevent_default();
            put(to);
        }
    };
    let pressed = move |e: ev::KeyboardEvent| {
        if let Some(to) = key(&e.key()).filter(|_| !e.ctrl_key() && !e.meta_key() && !e.alt_key()) {
            e.prevent_default();
            put(to);
        }
    };
    let button = move |id, sign: &'static str, title, name| {
        view! { <button id=id aria-label=title title=title on:click=move |_| key(sign).into_iter().for_each(put)>{name}</button> }
    };
    let place = move || {
        let Crop { x, y, side } = crop.get();
        format!("{side} × {side} of {} × {} pixels, from ({x}, {y})", size[0], size[1])
    };
    let part = move |of: u32, whole: u32| format!("{}%", 100.0 * f64::from(of) / f64::from(whole));

    view! {
        <section class="framing" aria-label="What of the image the model sees">
            <div node_ref=area class="whole" id="whole" tabindex="0" role="application" aria-roledescription="movable square"
                aria-label="The whole image with the square that the model sees" aria-describedby="crop-place crop-help"
                style:--shape=(f64::from(size[0]) / f64::from(size[1])).to_string()
                on:pointerdown=down on:pointermove=moved on:pointerup=up on:pointercancel=up on:wheel=wheel on:keydown=pressed>
                <canvas node_ref=canvas width=preview_size[0].to_string() height=preview_size[1].to_string() aria-hidden="true"></canvas>
                <div class="square" aria-hidden="true" style:--x=move || part(crop.get().x, size[0])
                    style:--y=move || part(crop.get().y, size[1]) style:--side=move || part(crop.get().side, size[0])></div>
            </div>
            <div class="result">
                <p>"The model sees the square, as “Original” below."</p>
                <p class="fine" id="crop-place" aria-live="polite">{place}</p>
                <div class="actions">
                    {button("closer", "+", "Closer", "+")}
                    {button("wider", "-", "Wider", "−")}
                    {button("middle", "0", "All that fits, from the middle", "Middle")}
                </div>
                <p class="fine" id="crop-help">"Drag it; zoom with the wheel or two fingers. Keys: arrows, + and −, 0."</p>
            </div>
        </section>
    }
}
