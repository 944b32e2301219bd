//! The crop editor: the full image with the square that the model gets. The square is dragged; wheel, two fingers, keys and
//! buttons zoom.

use std::sync::Arc;

use leptos::{ev, html::Div, prelude::*};

use crate::{
    app::{
        components::common::canvas::painted_canvas, domain::action::UserAction, present::rgba,
        runtime::context::AppContext,
    },
    data::crop::Crop,
    protocol::SourceImage,
};

/// Logarithm of the zoom factor for each pixel that the wheel turns.
const WHEEL_ZOOM: f64 = 0.002;

/// Pixels of a line, for wheels that count in lines.
const LINE_HEIGHT: f64 = 16.0;

/// A point in pixels of the full image.
type Point = [f64; 2];

/// The pointers on the image, and where they and the crop were when the last pointer was added or removed.
#[derive(Clone, Default)]
struct DragGesture {
    /// The current position of each pointer, by its id.
    pointers: Vec<(i32, Point)>,
    start: Vec<Point>,
    start_crop: Option<Crop>,
}

impl DragGesture {
    fn restart(&mut self, crop: Crop) {
        self.start = self.pointers.iter().map(|(_, point)| *point).collect();
        self.start_crop = Some(crop);
    }

    /// The crop at the current positions: moved by one pointer, zoomed by two.
    fn crop(&self, size: [u32; 2]) -> Option<Crop> {
        let crop = self.start_crop?;
        match (&self.start[..], &self.pointers[..]) {
            ([start], [(_, current)]) => Some(crop.moved_by(size, [current[0] - start[0], current[1] - start[1]])),
            ([a, b, ..], [(_, c), (_, d), ..]) => {
                let distance = |a: &Point, b: &Point| (a[0] - b[0]).hypot(a[1] - b[1]).max(1.0);
                let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
                Some(crop.zoomed(size, distance(c, d) / distance(a, b), middle))
            }
            _ => None,
        }
    }
}

/// The editor; hidden if the image is not cropped.
#[component]
pub fn CropEditor() -> impl IntoView {
    let state = expect_context::<AppContext>().state;
    let source = Memo::new(move |_| state.with(|s| s.crop.as_ref().map(|crop| crop.source.clone())));
    move || source.get().map(|source| view! { <Editor source/> })
}

/// The state of the editor, shared by its event handlers.
#[derive(Clone, Copy)]
struct EditorState {
    ctx: AppContext,
    area: NodeRef<Div>,
    gesture: StoredValue<DragGesture>,
    /// The size of the full image.
    size: [u32; 2],
    crop: Memo<Crop>,
}

impl EditorState {
    fn set_crop(self, crop: Crop) {
        self.ctx.dispatch(UserAction::SetCrop(crop));
    }

    /// The position of an event. No element inside the area receives events, so offsets count from its corner.
    fn point(self, e: &web_sys::MouseEvent) -> Point {
        let width = self.area.get_untracked().map_or(1, |area| area.offset_width()).max(1);
        let scale = f64::from(self.size[0]) / f64::from(width);
        [f64::from(e.offset_x()) * scale, f64::from(e.offset_y()) * scale]
    }

    fn on_pointer_down(self, e: &ev::PointerEvent) {
        e.prevent_default();
        if let Some(area) = self.area.get_untracked() {
            let _ = area.focus();
            let _ = area.set_pointer_capture(e.pointer_id());
        }
        let (point, mut crop) = (self.point(e), self.crop.get_untracked());
        let is_outside =
            |axis: usize, start: u32| !(f64::from(start)..f64::from(start + crop.side)).contains(&point[axis]);
        let is_first = self.gesture.with_value(|gesture| gesture.pointers.is_empty());
        if is_first && (is_outside(0, crop.x) || is_outside(1, crop.y)) {
            let center = crop.center();
            crop = crop.moved_by(self.size, [point[0] - center[0], point[1] - center[1]]);
            self.set_crop(crop);
        }
        self.gesture.update_value(|gesture| {
            gesture.pointers.push((e.pointer_id(), point));
            gesture.restart(crop);
        });
    }

    fn on_pointer_move(self, e: &ev::PointerEvent) {
        let point = self.point(e);
        self.gesture.update_value(|gesture| {
            for (id, position) in &mut gesture.pointers {
                if *id == e.pointer_id() {
                    *position = point;
                }
            }
        });
        if let Some(crop) = self.gesture.with_value(|gesture| gesture.crop(self.size))
            && crop != self.crop.get_untracked()
        {
            self.set_crop(crop);
        }
    }

    fn on_pointer_up(self, e: &ev::PointerEvent) {
        self.gesture.update_value(|gesture| {
            gesture.pointers.retain(|(id, _)| *id != e.pointer_id());
            gesture.restart(self.crop.get_untracked());
        });
    }

    fn on_wheel(self, e: &ev::WheelEvent) {
        let distance = e.delta_y() * if e.delta_mode() == 0 { 1.0 } else { LINE_HEIGHT };
        let zoomed = self.crop.get_untracked().zoomed(self.size, (-distance * WHEEL_ZOOM).exp(), self.point(e));
        // If the crop cannot be zoomed further, the page scrolls.
        if distance != 0.0 && zoomed != self.crop.get_untracked() {
            e.prevent_default();
            self.set_crop(zoomed);
        }
    }

    fn on_key_down(self, e: &ev::KeyboardEvent) {
        if e.ctrl_key() || e.meta_key() || e.alt_key() {
            return;
        }
        if self.apply_key(&e.key()) {
            e.prevent_default();
        }
    }

    /// Changes the crop as a key press does. Returns whether the key has a meaning.
    fn apply_key(self, key: &str) -> bool {
        let state = self.ctx.state;
        match state.with_untracked(|s| s.crop.as_ref().and_then(|crop| crop.after_key(key))) {
            Some(crop) => {
                self.set_crop(crop);
                true
            }
            None => false,
        }
    }
}

#[component]
fn Editor(source: Arc<SourceImage>) -> impl IntoView {
    let ctx = expect_context::<AppContext>();
    let SourceImage { size, preview_size, .. } = *source;
    let crop = Memo::new(move |_| ctx.state.with(|s| s.crop.as_ref().map_or(Crop::centered(size), |state| state.crop)));
    let area = NodeRef::<Div>::new();
    let editor = EditorState { ctx, area, gesture: StoredValue::new(DragGesture::default()), size, crop };
    let canvas = painted_canvas(move || Some(rgba::from_rgb(&source.preview)));
    let button = move |id, key: &'static str, title, label| {
        let press = move |_| {
            editor.apply_key(key);
        };
        view! { <button id=id aria-label=title title=title on:click=press>{label}</button> }
    };
    let position = move || {
        let Crop { x, y, side } = crop.get();
        format!("{side} × {side} of {} × {} pixels, from ({x}, {y})", size[0], size[1])
    };
    let percentage = move |value: u32, whole: u32| format!("{}%", 100.0 * f64::from(value) / f64::from(whole));

    view! {
        <section class="framing" aria-label="Crop">
            <div node_ref=area class="whole" id="whole" tabindex="0" role="application" aria-roledescription="movable square"
                aria-label="The full image with the crop" aria-describedby="crop-place crop-help"
                style:--shape=(f64::from(size[0]) / f64::from(size[1])).to_string()
                on:pointerdown=move |e| editor.on_pointer_down(&e) on:pointermove=move |e| editor.on_pointer_move(&e)
                on:pointerup=move |e| editor.on_pointer_up(&e) on:pointercancel=move |e| editor.on_pointer_up(&e)
                on:wheel=move |e| editor.on_wheel(&e) on:keydown=move |e| editor.on_key_down(&e)>
                <canvas node_ref=canvas width=preview_size[0].to_string() height=preview_size[1].to_string() aria-hidden="true"></canvas>
                <div class="square" aria-hidden="true" style:--x=move || percentage(crop.get().x, size[0])
                    style:--y=move || percentage(crop.get().y, size[1]) style:--side=move || percentage(crop.get().side, size[0])></div>
            </div>
            <div class="result">
                <p>"The model gets the square, shown below as “Original”."</p>
                <p class="fine" id="crop-place" aria-live="polite">{position}</p>
                <div class="actions">
                    {button("closer", "+", "Zoom in", "+")}
                    {button("wider", "-", "Zoom out", "−")}
                    {button("middle", "0", "Center: the largest crop", "Center")}
                </div>
                <p class="fine" id="crop-help">"Drag to move; zoom with the wheel or two fingers. Keys: arrows, + and −, 0."</p>
            </div>
        </section>
    }
}
