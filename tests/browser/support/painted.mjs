// A painted person for pictures of the call page. Sent to the browser as source: it uses nothing
// from outside.

/** Replaces the camera by a painted person, the screen by a painted page, and the microphone by silence. */
export function paintedCamera(name) {
  const people = {
    Ann: { wall: ['#d9e8e4', '#9fc4bd'], skin: '#e9b994', hair: '#5a2f1d', shirt: '#c9502f', long: true },
    Bo: { wall: ['#f3e3c6', '#d9b47f'], skin: '#c98a5f', hair: '#221915', shirt: '#2f5d73', long: false },
    'Sølvi': { wall: ['#dfe3f2', '#9fabd3'], skin: '#f1cdb0', hair: '#d9b25c', shirt: '#3d6b4f', long: true },
    Mira: { wall: ['#f0d9d3', '#cf9a8e'], skin: '#8a5638', hair: '#14100e', shirt: '#7a4a9c', long: false },
  };
  const { wall, skin, hair, shirt, long } = people[name] ?? people.Ann;
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: 640, height: 480 });
  const paint = canvas.getContext('2d');
  const oval = (x, y, rx, ry, color) => {
    paint.fillStyle = color;
    paint.beginPath();
    paint.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
    paint.fill();
  };
  const draw = (time) => {
    const sway = Math.sin(time / 900) * 4;
    const light = paint.createLinearGradient(0, 0, 640, 480);
    light.addColorStop(0, wall[0]);
    light.addColorStop(1, wall[1]);
    paint.fillStyle = light;
    paint.fillRect(0, 0, 640, 480);
    paint.fillStyle = 'rgba(255, 255, 255, .45)';
    paint.fillRect(60, 50, 120, 150); // a window
    paint.fillStyle = wall[1];
    paint.fillRect(117, 50, 6, 150);
    paint.fillStyle = 'rgba(60, 40, 30, .28)';
    paint.fillRect(450, 150, 150, 8); // a shelf with books
    [['#8a4b3a', 34], ['#3f6a6f', 46], ['#c9a24b', 28], ['#59557f', 40]].forEach(([color, height], at) => {
      paint.fillStyle = color;
      paint.fillRect(462 + at * 26, 150 - height, 18, height);
    });
    if (long) oval(320 + sway, 250, 108, 140, hair);
    oval(320 + sway * 0.4, 540, 205, 190, shirt);
    paint.fillStyle = skin;
    paint.fillRect(286 + sway * 0.7, 300, 68, 80);
    oval(320 + sway, 220, 82, 104, skin);
    oval(320 + sway, 146, 90, 58, hair);
    if (!long) oval(320 + sway, 170, 86, 46, hair);
    oval(320 + sway, 232, 74, 82, skin);
    for (const side of [-1, 1]) oval(320 + sway + side * 30, 222, 7, 8, '#2a1c16');
    paint.strokeStyle = '#7b3a2e';
    paint.lineWidth = 5;
    paint.lineCap = 'round';
    paint.beginPath();
    paint.arc(320 + sway, 258, 24, 0.2 * Math.PI, 0.8 * Math.PI);
    paint.stroke();
  };
  navigator.mediaDevices.getDisplayMedia = async () => {
    const page = document.createElement('canvas');
    Object.assign(page, { width: 1280, height: 720 });
    const write = page.getContext('2d');
    setInterval(() => {
      write.fillStyle = '#fbfaf6';
      write.fillRect(0, 0, 1280, 720);
      write.fillStyle = '#23424a';
      write.font = '600 44px sans-serif';
      write.fillText('Fish counted at the weir', 70, 110);
      [38, 52, 47, 81, 96, 120].forEach((count, at) => {
        write.fillStyle = at === 5 ? '#c9502f' : '#7fb0b5';
        write.fillRect(90 + at * 190, 640 - count * 4, 120, count * 4);
      });
    }, 100);
    return page.captureStream(10);
  };
  navigator.mediaDevices.getUserMedia = async ({ video, audio }) => {
    const stream = new MediaStream();
    if (video) {
      const timer = setInterval(() => draw(performance.now()), 100);
      draw(0);
      const [track] = canvas.captureStream(10).getVideoTracks();
      const stop = track.stop.bind(track);
      track.stop = () => {
        clearInterval(timer);
        stop();
      };
      stream.addTrack(track);
    }
    if (audio) stream.addTrack(new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0]);
    return stream;
  };
}
