BvaluesJ ˝ı?Ñ‹RæœTüæDNY?Çäí>†ÒAø
5ÁΩa»o?