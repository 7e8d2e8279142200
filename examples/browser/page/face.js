// A face whose mouth takes the shapes of the visemes.

const SHAPES = {
  // [half width, half height of the mouth, teeth, tongue]
  closed: [28, 2.5, 0, 0],
  lips_together: [24, 2.5, 0, 0],
  open_medium: [26, 17, 0, 1],
  open_round: [15, 14, 0, 0],
  lip_bite: [24, 6, 1, 0],
  teeth_close: [28, 7, 1, 0],
  tongue_up: [24, 12, 0, 1],
};

export class Face {
  constructor(svg) {
    this.svg = svg;
    this.lips = svg.querySelector(".lips");
    this.teeth = svg.querySelector(".teeth");
    this.tongue = svg.querySelector(".tongue");
    this.show("closed");
  }

  show(shape) {
    const [width, height, teeth, tongue] = SHAPES[shape] ?? SHAPES.closed;
    this.svg.dataset.mouth = shape;
    this.lips.setAttribute("rx", width);
    this.lips.setAttribute("ry", height);
    this.teeth.setAttribute("opacity", teeth);
    this.tongue.setAttribute("opacity", tongue);
    this.tongue.setAttribute("cy", 136 + height * 0.5);
    this.tongue.setAttribute("ry", Math.max(1, height * 0.4));
  }
}
